// The anywidget of a session: one ESM whose `render` returns its own clean-up. Loaded by the notebook front end from
// the widget's `_esm`; must stay under 80,000 bytes and hold no series.
import type { Render } from '@anywidget/types';
import { createElement } from 'react';

import { NumberText } from '../components/NumberText';
import { mount } from './mount';

type Model = { readonly session_id: string };

const render: Render<Model> = ({ model, el }) => {
  el.setAttribute('aria-label', model.get('session_id'));
  return mount(el, createElement(NumberText, { value: 0 }));
};

export default { render };
