// What the pages of TestTwoBrowsersChatThroughTheDeathOfAGateway do: each stays
// in the room, publishes one numbered message after the other, and repeats those
// whose outcome it does not know.
'use strict';

const room = 'lobby';
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The library, as its users write it: it comes back, and recovers, by itself. */
function bySocketIO(url, user, log) {
  const socket = io(url, { auth: { token: user } });
  socket.on('connect', async () => {
    log.push(`connect ${socket.recovered}`);
    if (socket.recovered) return;
    const { ok } = await socket.emitWithAck('join_room', { room });
    log.push(`joined ${ok}`);
  });
  socket.on('disconnect', (reason) => log.push(`disconnect ${reason}`));
  socket.on('connect_error', (e) => log.push(`connect_error ${e.message}`));
  return {
    stay: (receive) => socket.on('chat', (data, place) => receive(place.offset, data)),
    publish: async (data) => {
      const { ok, error } = await socket.timeout(5000).emitWithAck('publish', data);
      if (!ok) throw new Error(error.code);
    },
    transport: () => socket.io.engine.transport.name,
  };
}

/** A WebSocket, with what the README says about resuming. */
function byWebSocket(url, user, log) {
  let ws, pos, receive;
  let next = 1;
  const waiting = new Map(); // requests by id
  const request = (event, data) => new Promise((resolve, reject) => {
    if (ws.readyState !== WebSocket.OPEN) throw new Error('no connection');
    const id = ++next;
    waiting.set(id, { resolve, reject });
    ws.send(JSON.stringify({ event, id, data }));
  });
  const connect = () => {
    ws = new WebSocket(url, ['gateway.v1', 'gateway.v1.bearer.' + btoa(user).replace(/=+$/, '')]);
    ws.onmessage = ({ data }) => {
      const m = JSON.parse(data);
      if (m.event === 'connected') {
        request('join_room', { room, since: pos }).then((joined) => {
          log.push(`joined ${joined.recovered}`);
          pos = joined.pos;
        }, (e) => log.push(`join: ${e.message}`));
      } else if (m.room === room && m.offset) {
        pos = m.pos;
        receive(m.offset, m.data);
      } else if (waiting.has(m.id)) {
        const { resolve, reject } = waiting.get(m.id);
        waiting.delete(m.id);
        if (m.event === 'error') reject(new Error(m.data.code));
        else resolve(m.data);
      }
    };
    ws.onclose = ({ code }) => {
      log.push(`close ${code}`);
      for (const { reject } of waiting.values()) reject(new Error('the connection ended'));
      waiting.clear();
      setTimeout(connect, 100 + 100 * Math.random());
    };
  };
  connect();
  return { stay: (f) => { receive = f; }, publish: (data) => request('publish', data), transport: () => 'websocket' };
}

/** Chats from `begun` to `over`, which are the caller's to set; the rest of the returned object is to look at. */
function chat(kind, url, user) {
  const state = { log: [], got: [], repeats: 0, said: 0, begun: false, over: false, ended: false };
  const link = { bySocketIO, byWebSocket }[kind](url, user, state.log);
  state.transport = link.transport;
  link.stay((offset, data) => {
    const last = state.got.length > 0 ? state.got.at(-1)[0] : 0;
    if (offset <= last) state.repeats++; // a client drops what it has
    else state.got.push([offset, data.user, data.n]);
  });
  (async () => {
    while (!state.begun) await pause(10);
    for (let n = 1; !state.over; n++) {
      for (let stored = false; !stored; ) {
        try {
          await link.publish({ room, event: 'chat', data: { user, n }, idempotencyKey: `${user} ${n}` });
          stored = true;
        } catch {
          await pause(50); // not, or nobody knows: the key keeps it from being stored twice
        }
      }
      state.said = n;
      await pause(10);
    }
    state.ended = true;
  })();
  return state;
}
