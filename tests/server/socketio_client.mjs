// One real socket.io-client, told what to do on standard input and telling what it hears on standard output: a line of
// JSON each. Started by socketio_clients.py with the address and the client's options as its two arguments.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../forge_widgets/ui/package.json', import.meta.url));
const { io } = require('socket.io-client');

const [url, optionsText] = process.argv.slice(2);
const { joins, ...options } = JSON.parse(optionsText);
const tell = (event, ...args) => console.log(JSON.stringify({ event, args }));

const socket = io(url, options);
socket.onAny((event, ...args) => tell(event, ...args));
socket.on('connect', () => {
  tell('connect', socket.io.engine.transport.name);
  // As existing clients do, on each connect.
  for (const session of joins ?? []) socket.emit('join_room', session);
});
socket.io.on('open', () => socket.io.engine.once('upgrade', transport => tell('upgrade', transport.name)));
socket.on('disconnect', reason => tell('disconnect', reason));
socket.on('connect_error', error => tell('connect_error', error.message));

// At the end of its input it says goodbye, and the process ends once that has been sent.
createInterface({ input: process.stdin })
  .on('line', line => {
    const { emit, args, ack, raw } = JSON.parse(line);
    if (raw) socket.io.engine.write(raw);
    else if (ack) socket.emit(emit, ...args, (...answer) => tell('ack', ...answer));
    else socket.emit(emit, ...args);
  })
  .on('close', () => socket.close());
