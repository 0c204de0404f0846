// Deflated messages: read by the browser itself, which takes its time, so that whoever asks keeps their order.
// Called by the WebSocket adapter; a browser without DecompressionStream is sent text.

export const canInflate = typeof DecompressionStream !== 'undefined';

/** Inflate a zlib stream of UTF-8 text; null where it is none. */
export async function inflate(data: BlobPart): Promise<string | null> {
  try {
    return await new Response(new Blob([data]).stream().pipeThrough(new DecompressionStream('deflate'))).text();
  } catch {
    return null;
  }
}
