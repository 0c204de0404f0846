// The unmodified socket.io-client, as an existing front end uses it: node socketio_client.mjs URL TRANSPORTS.
// A line of JSON on stdin is emitted, [event, ...arguments]; whatever comes is a line of JSON on stdout, [event, ...arguments].
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(new URL('../../forge_widgets/ui/package.json', import.meta.url));
const { io } = require('socket.io-client');

const [url, transports] = process.argv.slice(2);
const tell = (...words) => process.stdout.write(`${JSON.stringify(words)}\n`);
const socket = io(url, {
  transports: transports.split(','),
  timeout: 5000,
  reconnection: true,
  reconnectionDelay: 100,
  reconnectionDelayMax: 500,
});

socket.on('connect', () => tell('connect', socket.io.engine.transport.name));
socket.on('disconnect', (reason) => tell('disconnect', reason));
socket.on('connect_error', (error) => tell('connect_error', error.message));
socket.io.on('open', () => socket.io.engine.on('upgrade', (transport) => tell('upgrade', transport.name)));
socket.onAny((event, ...words) => tell(event, ...words));
createInterface({ input: process.stdin })
  .on('line', (line) => socket.emit(...JSON.parse(line)))
  .on('close', () => socket.close());
