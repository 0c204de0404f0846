// The anywidget of a chart: draws with the plotly.js that stands beside it, which it must never bundle.
import type { Render } from '@anywidget/types';

type Model = { readonly session_id: string };

const render: Render<Model> = ({ model, el }) => {
  el.setAttribute('aria-label', model.get('session_id'));
  return () => {
    el.removeAttribute('aria-label');
  };
};

export default { render };
