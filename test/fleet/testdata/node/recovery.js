// An application with one socket, which says what it sees and does what it is
// told: "join ROOM", "leave ROOM", or the URL that its load balancer leads to now.
'use strict';

const readline = require('readline');
const { io } = require('socket.io-client');

const [url, user, ...transports] = process.argv.slice(2);
const say = (...words) => process.stdout.write(words.join(' ') + '\n');

const options = { auth: { token: user }, reconnectionDelay: 20, reconnectionDelayMax: 100, timeout: 2000 };
if (transports.length > 0) options.transports = transports;
const socket = io(url, options);

socket.on('connect', () => say('connect', socket.id, Boolean(socket.recovered)));
socket.on('disconnect', (reason, why) => say('disconnect', reason, why ? String(why.message) + ' ' + String(why.description) : ''));
socket.on('connect_error', (e) => say('connect_error', e.message));
socket.on('chat', (data, place) => say('chat', place.room, data));
socket.on('connected', ({ connectionId }) => say('connected', connectionId));
socket.on('confirm', (what, reply) => {
  say('confirm', what);
  if (what !== 'hush') reply(what, socket.id);
});

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const [what, room] = line.split(' ');
  if (room === undefined) {
    socket.io.uri = what;
    return;
  }
  const { ok } = await socket.emitWithAck(what + '_room', { room });
  say(what, room, ok);
}).on('close', () => socket.disconnect());
