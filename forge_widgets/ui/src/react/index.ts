// What the npm package forge-widgets-react exports; everything else in this folder is its own business.
export type {
  LifecycleEvent,
  Nonfinite,
  ProgressAppearance,
  ProgressCallbacks,
  ProgressConnection,
  ProgressMetrics,
  ProgressSource,
  ProgressStatus,
  ProgressTransport,
  UseWebSocketProgressOptions,
  WebSocketProgressProps,
} from './contract';
export { useWebSocketProgress } from './useWebSocketProgress';
export type { UseWebSocketProgress } from './useWebSocketProgress';
export { WebSocketProgress, WebSocketProgress as default } from './WebSocketProgress';
