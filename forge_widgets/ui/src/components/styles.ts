// Brings a view's stylesheet to where a host (anywidget, page) has put it. The lab loads its own, as a file.

/** Put a stylesheet once into the document, or shadow root, that `host` is in. It stays: other views share it. */
export function adoptStyles(host: Element, css: string, id: string): void {
  const root = host.getRootNode();
  const place = root instanceof ShadowRoot ? root : host.ownerDocument.head;
  const known = place.querySelector(`#${id}`);
  if (known?.textContent === css) return;
  const style = known ?? host.ownerDocument.createElement('style');
  style.id = id;
  style.textContent = css;
  if (known === null) place.append(style);
}
