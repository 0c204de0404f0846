// The stand-alone server's page: the list of sessions, and beside it the one that `?session=ID` names. The only place
// that wires them; the browser's history goes along.
import { createElement } from 'react';

import { asSocket, serverAccess } from '../components/access';
import { mount } from '../components/mount';
import { SessionsPoll } from '../components/sessions';
import { adoptStyles } from '../components/styles';
import chartCss from '../../style/chart.css';
import css from '../../style/forge.css';
import listCss from '../../style/list.css';
import { Page } from './Page';
import pageCss from './page.css';

function open(host: HTMLElement): void {
  adoptStyles(host, css + chartCss + listCss + pageCss, 'forge-widgets-style');
  // The page lies at PREFIX, so everything else is found beside it.
  const root = new URL('./', document.baseURI);
  // The server has taken the token out of the address and given a cookie for it.
  const server = serverAccess({ url: root.href, socketUrl: asSocket(root).href, token: '', tokenInSocket: false });
  const poll = new SessionsPoll(server);
  // The page itself knows where its list was left.
  history.scrollRestoration = 'manual';
  host.replaceChildren();
  mount(host, createElement(Page, { server, poll }));
}

const host = document.getElementById('forge');
if (host !== null) open(host);
