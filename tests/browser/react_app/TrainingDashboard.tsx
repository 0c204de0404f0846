// An existing dashboard as people have it: it polls by setInterval, and has the hook beside that. Only the import is ours.
// It is installed, type-checked and bundled by test_browser_react.py in a project of its own, and says what it rendered.
import { useEffect, useState } from 'react';
import WebSocketProgress, { useWebSocketProgress } from 'forge-widgets-react';
import type { LifecycleEvent, ProgressMetrics } from 'forge-widgets-react';

/** What the test reads. */
export interface Seen {
  rendered: { step: number | null; status: string; transport: string; error: string | null }[];
  polled: number[];
  events: LifecycleEvent[];
  errors: string[];
  statuses: string[];
  told: number[];
}

declare global {
  interface Window {
    seen: Seen;
  }
}

interface Props {
  sessionId: string | null;
  server: string;
}

export function TrainingDashboard({ sessionId, server }: Props) {
  const { metrics, status, error, connection, WebSocketProgressComponent } = useWebSocketProgress(sessionId, {
    websocketUrl: server.replace(/^http/, 'ws'),
  });
  const [polled, setPolled] = useState<number | null>(null);

  useEffect(() => {
    const interval = setInterval(async () => {
      const response = await fetch(`${server}/api/progress/${sessionId}`).catch(() => null);
      if (response?.ok !== true) return;
      const document: { metrics: ProgressMetrics } = await response.json();
      setPolled(document.metrics.currentStep);
      window.seen.polled.push(document.metrics.currentStep ?? -1);
    }, 1000);
    return () => clearInterval(interval);
  }, [sessionId, server]);

  // @ts-expect-error before the first update there is nothing: the types say so, and are there
  void (() => metrics.currentStep);

  useEffect(() => {
    window.seen.rendered.push({ step: metrics?.currentStep ?? null, status, transport: connection.transport, error });
  });

  return (
    <main>
      <h1>Training dashboard</h1>
      <p>
        <WebSocketProgressComponent />
      </p>
      <div>Step: {metrics?.currentStep || 0}</div>
      <div>Loss: {metrics?.loss || 0}</div>
      <div>Polled: {polled ?? 'nothing yet'}</div>
      <p>
        <Told sessionId={sessionId} server={server} />
      </p>
    </main>
  );
}

/** Another part of the page, which wants to be told. */
function Told({ sessionId, server }: Props) {
  return (
    <WebSocketProgress
      sessionId={sessionId}
      websocketUrl={server}
      fallbackPollingInterval={1000}
      onMetricsUpdate={({ currentStep }) => window.seen.told.push(currentStep ?? -1)}
      onStatusUpdate={(status) => window.seen.statuses.push(status)}
      onError={(error) => window.seen.errors.push(error)}
      onEvent={(event) => window.seen.events.push(event)}
    />
  );
}
