// Notes in every page when a step is first to be read in it: window.seen is [step, milliseconds since 1970] in order.
window.seen = [];
const STEP = /step ([\d,]+) of/;
const look = () => {
  const shown = STEP.exec(document.body?.textContent ?? '');
  if (shown === null) return;
  const step = Number(shown[1].replaceAll(',', ''));
  if (step !== window.seen.at(-1)?.[0]) window.seen.push([step, Date.now()]);
};
new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
