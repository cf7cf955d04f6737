// What the form says, as code for somebody else's editor or terminal.

// snippet(language, { socketio, base, path, api, user, token, room, event, data })
// language is browser, node or curl; base is "ws://host:port", api the admin
// port's origin, data JSON text. token says that user is a secret, which no code
// shows.
export function snippet(language, form) {
  if (language === 'curl') return curl(form);
  return (form.socketio ? socketio : plain)(form, language === 'node');
}

function plain({ base, path, user, token, room, event, data }, node) {
  const options = credential(user, token, node);
  return lines(
    node && `// Once: curl -sSo client.mjs ${http(base)}/client.js`,
    `import { connect } from ${word(node ? './client.mjs' : `${http(base)}/client.js`)};`,
    '',
    `const client = connect(${word(base + path)}${options && `, ${options}`});`,
    `const room = client.room(${word(room)});`,
    `room.on(${word(event)}, (data, { offset }) => console.log(offset, data));`,
    `await room.publish(${word(event)}, ${value(data)});`,
  );
}

function socketio({ base, user, token, room, event, data }, node) {
  const options = ["transports: ['websocket']"];
  const auth = credential(user, token, node);
  if (auth) options.push(`auth: ${auth}`);
  return lines(
    node ? '// Once: npm install socket.io-client' : '// From npm, with a bundler; or from a CDN.',
    "import { io } from 'socket.io-client';",
    '',
    `const socket = io(${word(http(base))}, { ${options.join(', ')} });`,
    `socket.on(${word(event)}, (data, { offset }) => console.log(offset, data));`,
    "socket.on('connected', async () => {",
    `  console.log(await socket.emitWithAck('join_room', ${object({ room })}));`,
    `  console.log(await socket.emitWithAck('publish', { room: ${word(room)}, event: ${word(event)}, data: ${value(data)} }));`,
    '});',
  );
}

function curl({ api, room, event, data }) {
  const body = `{"room":${JSON.stringify(room)},"event":${JSON.stringify(event)},"data":${data}}`;
  return lines(
    `curl -sS ${shell(`${api}/api/v1/publish`)} \\`,
    '  -H "Authorization: Bearer $API_KEY" \\',
    "  -H 'Content-Type: application/json' \\",
    `  -d ${shell(body)}`,
  );
}

// The option that says who connects, '' for a guest.
function credential(user, token, node) {
  if (!user) return '';
  if (!token) return object({ token: user });
  return node ? '{ token: process.env.TOKEN }' : '{ token: await getToken() }';
}

const lines = (...all) => all.filter((line) => line !== false).join('\n');
const http = (base) => base.replace(/^ws/, 'http');
const word = (text) => `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
const object = (fields) => `{ ${Object.entries(fields).map(([key, text]) => `${key}: ${word(text)}`).join(', ')} }`;
const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// JSON as an expression: on one line, numbers with all their digits. A key
// "__proto__" would mean something else there.
const value = (json) => (json.includes('__proto__') ? `JSON.parse(${word(json)})` : json);
