// One connection of gateway.v1, at /ws.
//
// Both kinds of connection, this and socketio.js, have a name, open(to, on) and
// what that returns: request(event, id, json) and close(code). to is
// {base, path, token, since, secret}: "ws://host:port" and the path, the
// credential, positions by room, and whether the credential is not to be shown.
// They call on.frame(out, text, shown) for every frame, shown being {event,
// room, data, kind} or null; on.message({event, id, room, offset, pos, data})
// for what means something; and once, last, on.closed(code, reason).

export const name = 'WebSocket';

const PROTOCOL = 'gateway.v1';
const PONG_MS = 10_000; // silence after a ping that means the connection is dead

// A subprotocol's name may carry a token only as base64url of its UTF-8.
export function base64url(text) {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

export function open({ base, path, token, since }, on) {
  const protocols = token ? [PROTOCOL, `${PROTOCOL}.bearer.${base64url(token)}`] : [PROTOCOL];
  const query = Object.keys(since).length > 0 ? `?since=${encodeURIComponent(JSON.stringify(since))}` : '';
  const socket = new WebSocket(base + path + query, protocols);
  let heard = 0; // when the last frame came
  let beat = 0;

  socket.onmessage = ({ data }) => {
    heard = performance.now();
    const text = String(data);
    const message = parse(text);
    on.frame(false, text, message && shown(message, false));
    if (message?.event === 'connected' && message.data.heartbeatMs) listen(message.data.heartbeatMs);
    if (message) on.message(message);
  };
  socket.onclose = ({ code, reason }) => end(code, reason);

  function send(text) {
    on.frame(true, text, shown(parse(text), true));
    socket.send(text);
  }

  // A browser cannot see the protocol's own pings: after a time of silence
  // only an answer shows that the connection lives.
  function listen(every) {
    const silent = performance.now() - heard;
    beat = setTimeout(() => {
      if (performance.now() - heard < every) return listen(every);
      const asked = performance.now();
      send('{"event":"ping","data":{}}');
      beat = setTimeout(() => {
        if (heard >= asked) return listen(every);
        socket.close(); // which may take minutes: it is not waited for
        end(1006, 'no answer to a ping');
      }, PONG_MS);
    }, Math.max(0, every - silent));
  }

  function end(code, reason) {
    mute();
    on.closed(code, reason);
  }

  function mute() {
    clearTimeout(beat);
    socket.onmessage = socket.onclose = null;
  }

  return {
    request: (event, id, json) => send(`{"event":${JSON.stringify(event)},"id":${JSON.stringify(id)},"data":${json}}`),
    close(code) {
      mute();
      socket.close(code);
    },
  };
}

// The gateway sends JSON objects; anything else is shown and ignored.
function parse(text) {
  try {
    const message = JSON.parse(text);
    return message !== null && typeof message === 'object' && !Array.isArray(message) ? message : null;
  } catch {
    return null;
  }
}

function shown(message, out) {
  return { event: message.event, id: message.id, room: message.room ?? message.data?.room, kind: kindOf(message, out) };
}

function kindOf({ event, id, room }, out) {
  if (event === 'error') return 'error';
  if (event === 'ping' || event === 'pong') return 'beat';
  return !out && id === undefined && room !== undefined ? 'message' : 'control';
}
