// One connection of Socket.IO (protocol 5 over Engine.IO 4) by a WebSocket, in
// the namespace "/". See plain.js for what is called and given.
//
// A frame is a digit of Engine.IO (0 open, 2 ping, 3 pong, 4 message); in a
// message follow a digit of Socket.IO (0 connect, 1 disconnect, 2 event,
// 3 acknowledgement, 4 connect error, 5 and 6 with binary data), the number of
// an acknowledgement, and JSON.

export const name = 'Socket.IO';

const ADDRESS = '/socket.io/?EIO=4&transport=websocket';
const PACKET = /^4([0-6])(?:\d+-)?(\d*)(.*)$/s;

export function open({ base, token, since, secret }, on) {
  const socket = new WebSocket(base + ADDRESS);
  let silence = 0; // ms without a ping that mean the connection is dead
  let dead = 0;

  socket.onmessage = ({ data }) => {
    if (typeof data === 'string') receive(data);
    else on.frame(false, `${data.size ?? data.byteLength} bytes`, { event: 'attachment', kind: 'control' });
  };
  socket.onclose = ({ code, reason }) => end(code, reason);

  function receive(text) {
    alive();
    if (text[0] === '0') return opened(text);
    if (text[0] === '2') {
      on.frame(false, text, { event: 'ping', kind: 'beat' });
      return send(`3${text.slice(1)}`, { event: 'pong', kind: 'beat' });
    }
    const [, type, id, json] = PACKET.exec(text) ?? [];
    const body = parse(json ?? '');
    switch (type) {
      case '0': return on.frame(false, text, { event: 'CONNECT', kind: 'control' });
      case '1': return refused(text, 'DISCONNECT', 4003, '');
      case '2': case '5': return event(text, body);
      case '3': case '6': return acknowledged(text, id, body);
      case '4': return refused(text, 'CONNECT_ERROR', body?.data?.retryable ? 1013 : 4001, body?.message ?? '');
    }
    on.frame(false, text, null);
  }

  function opened(text) {
    on.frame(false, text, { event: 'open', kind: 'control' });
    const { pingInterval, pingTimeout } = parse(text.slice(1)) ?? {};
    silence = pingInterval + pingTimeout || 0;
    alive();
    const auth = {};
    if (token) auth.token = token;
    if (Object.keys(since).length > 0) auth.since = since;
    const shown = secret && token ? { ...auth, token: '…' } : auth;
    send(`40${JSON.stringify(auth)}`, { event: 'CONNECT', kind: 'control' }, `40${JSON.stringify(shown)}`);
  }

  function event(text, body) {
    if (!Array.isArray(body)) return on.frame(false, text, null);
    const [name, data, meta] = body;
    const published = meta?.room !== undefined;
    const kind = name === 'error' ? 'error' : published ? 'message' : 'control';
    on.frame(false, text, { event: name, room: meta?.room ?? data?.room, kind });
    on.message({ event: name, data, ...(published ? meta : {}) });
  }

  // The reply to a request: {ok, event, data} or {ok: false, error}.
  function acknowledged(text, id, body) {
    const { ok, event: name, data, error } = body?.[0] ?? {};
    const reply = { id: Number(id), event: ok ? name : 'error', data: ok ? data : error };
    on.frame(false, text, { event: reply.event, id: reply.id, room: reply.data?.room, kind: ok ? 'control' : 'error' });
    on.message(reply);
  }

  function refused(text, event, code, reason) {
    on.frame(false, text, { event, kind: 'error' });
    socket.close();
    end(code, reason);
  }

  // said is how the log has it, where that is not the same.
  function send(text, shown, said = text) {
    on.frame(true, said, shown);
    socket.send(text);
  }

  // The gateway pings: when it does not, it is gone.
  function alive() {
    clearTimeout(dead);
    if (silence > 0) {
      dead = setTimeout(() => {
        socket.close();
        end(1006, 'no ping of the gateway');
      }, silence);
    }
  }

  function end(code, reason) {
    mute();
    on.closed(code, reason);
  }

  function mute() {
    clearTimeout(dead);
    socket.onmessage = socket.onclose = null;
  }

  return {
    request(event, id, json) {
      const room = parse(json)?.room;
      send(`42${id}[${JSON.stringify(event)},${json}]`, { event, id, room, kind: 'control' });
    },
    close(code) {
      mute();
      socket.close(code);
    },
  };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
