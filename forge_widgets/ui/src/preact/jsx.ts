// What JSX becomes in the bundles outside JupyterLab: calls with children as arguments, which are 1.2 KB shorter in the
// widget's script than the objects of the automatic runtime. Injected by build.mjs into whatever holds JSX.
export { createElement as jsxElement, Fragment as JsxFragment } from 'preact';
