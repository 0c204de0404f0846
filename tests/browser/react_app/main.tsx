// Mounts the dashboard for what the page's address names, as a page in development does: in StrictMode.
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { TrainingDashboard } from './TrainingDashboard.js';

const query = new URLSearchParams(location.search);
window.seen = { rendered: [], polled: [], events: [], errors: [], statuses: [], told: [] };
createRoot(document.body.appendChild(document.createElement('div'))).render(
  <StrictMode>
    <TrainingDashboard sessionId={query.get('session')} server={query.get('server') ?? ''} />
  </StrictMode>,
);
