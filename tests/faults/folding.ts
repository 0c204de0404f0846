// Folds logs in TypeScript for the tests that compare it with Python's fold: a line of messages in, a line of what became of
// them out (tests/faults/test_faults_languages.py).
import { Buffer } from 'node:buffer';
import process from 'node:process';
import { createInterface } from 'node:readline';

import { BriefReader } from '../../forge_widgets/ui/src/stream/brief';
import { CursorClient } from '../../forge_widgets/ui/src/stream/cursor';
import { parseText } from '../../forge_widgets/ui/src/stream/messages';
import { linesOf, say } from './wire';

/** Take messages as a viewer that has nothing yet: texts, frames in brief as `{"data": base64}`, `null` for a new connection. */
function take(messages: readonly (string | { readonly data: string } | null)[]): void {
  const client = new CursorClient();
  const outcomes: string[] = [];
  let reader = new BriefReader();
  for (const told of messages) {
    if (told === null) {
      reader = new BriefReader();
      continue;
    }
    const message = typeof told === 'string' ? parseText(told) : reader.read(Uint8Array.from(Buffer.from(told.data, 'base64')).buffer);
    if (message?.type === 'shape') reader.shapes.set(message.id, message);
    else outcomes.push(message?.type === 'frame' ? client.take(message) : 'malformed');
  }
  say({ outcomes, cursor: client.cursor, gap: client.gap, state: client.state, series: linesOf(client.series) });
}

createInterface({ input: process.stdin }).on('line', (line) => {
  take(JSON.parse(line) as (string | { readonly data: string } | null)[]);
});
