// Clients of socket.io-client, in its latest and an early release, and in the
// ways that they can be transported.
const { url, until, within } = require('./harness.js');

const versions = {
  latest: require('socket.io-client'),
  early: require('socket.io-client-early'), // 4.0
};

// The options of io(url, …): nothing is the default, polling and then a
// WebSocket.
const modes = {
  default: undefined,
  polling: { transports: ['polling'] },
  websocket: { transports: ['websocket'] },
};

// client opens a socket of its own connection and keeps what comes in order.
function client(version, mode, options = {}, where = url) {
  const all = { ...modes[mode], ...options, forceNew: true };
  const socket = versions[version].io(where, all);
  socket.heard = []; // [event, ...arguments]
  socket.onAny((...event) => socket.heard.push(event));
  return socket;
}

// online opens a socket and waits until its session lives.
async function online(version, mode, options, where) {
  const socket = client(version, mode, options, where);
  await heard(socket, 'connected');
  return socket;
}

// heard waits for an event and returns its arguments. It may have come already.
async function heard(socket, event, matches = () => true) {
  let found;
  await until(() => (found = socket.heard.find(([name, ...args]) => name === event && matches(...args))), `${event} comes`);
  return found.slice(1);
}

// once waits for the library's own events, which onAny does not tell.
function once(socket, event) {
  return within(new Promise((done) => socket.once(event, done)), event);
}

// call is a request with a callback.
function call(socket, event, data) {
  return within(new Promise((done) => socket.emit(event, data, (...args) => done(args))), `the acknowledgement of ${event}`)
    .then((args) => {
      if (args.length !== 1) throw new Error(`${event} was acknowledged with ${JSON.stringify(args)}`);
      return args[0];
    });
}

const transport = (socket) => socket.io.engine.transport.name;

module.exports = { call, client, heard, modes, once, online, transport, versions };
