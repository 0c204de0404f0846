// Notes in every page when a curve is first drawn in it: window.painted, in milliseconds since the navigation began.
window.painted = null;
new MutationObserver((_, observer) => {
  if (!document.querySelector('path.forge-line[d]:not([d=""])')) return;
  observer.disconnect();
  // After the frame that draws it.
  requestAnimationFrame(() => setTimeout(() => (window.painted = performance.now())));
}).observe(document, { subtree: true, childList: true, attributeFilter: ['d'] });
