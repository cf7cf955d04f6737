// The page: wires the client, the log and the forms.

import { Client } from './client.js';
import { FrameLog, MAX_FRAMES } from './frames.js';
import { drawRooms } from './rooms.js';
import { fault } from './json.js';
import { ofError, ofProblem, ofState } from './words.js';

const LOBBY = 'lobby';
const DRAW_MS = 100; // the list of rooms follows a busy room this slowly
const SAY_MS = 1500; // and so does what a screen reader is told

const $ = (id) => document.getElementById(id);

const config = await loadConfig();
const url = `${config.tls ? 'wss' : 'ws'}://${location.hostname}:${config.publicPort}${config.path}`;
const client = new Client(url);
const log = new FrameLog($('frames'), $('frames-view'), drawLog);

let entering = false; // the button that was pressed goes away: the focus must go on
let arrived = 0; // messages that a screen reader was not told of
let drawTimer = 0;
let sayTimer = 0;

$('endpoint').textContent = url;
$('version').textContent = config.version;
$('connect-lobby').disabled = $('connect').disabled = false;
drawState();
drawLog();

async function loadConfig() {
  try {
    const response = await fetch('/console.json');
    if (!response.ok) throw new Error(`the gateway answered ${response.status}`);
    return await response.json();
  } catch (err) {
    notice('error', `Could not read the gateway's settings: ${err.message}. Reload the page to try again.`);
    throw err;
  }
}

// --- connection ---

$('connection').addEventListener('submit', (event) => {
  event.preventDefault();
  hideNotice();
  entering = true;
  const rooms = event.submitter === $('connect') ? [] : [LOBBY];
  client.connect($('user').value.trim(), rooms);
});

$('disconnect').addEventListener('click', () => {
  client.close();
  $('user').focus();
});

client.addEventListener('state', ({ detail }) => {
  drawState();
  if (detail.state === 'online') {
    hideNotice();
    if (entering) $('data').focus({ preventScroll: true });
    entering = false;
  }
  if (detail.state === 'waiting') countDown(Date.now() + detail.delay);
});

client.addEventListener('problem', ({ detail }) => {
  const { kind, text } = ofProblem(detail, url);
  notice(kind, text);
});

function drawState() {
  const { state, identity } = client;
  document.body.dataset.state = state;
  $('state').textContent = ofState(state, identity);
  const idle = state === 'idle';
  $('connection').hidden = !idle;
  $('identity').hidden = idle;
  $('fact-user').textContent = identity?.userId ?? '—';
  $('fact-connection').textContent = identity?.connectionId ?? '—';
  $('fact-instance').textContent = identity ? `${identity.instance} ${identity.serverVersion}` : '—';
  const online = state === 'online';
  for (const id of ['join', 'publish']) $(id).disabled = !online;
  for (const id of ['room-fields', 'publish-fields']) $(id).toggleAttribute('inert', idle);
}

// The seconds stand outside what a screen reader is told.
function countDown(until) {
  const left = client.state === 'waiting' ? Math.ceil((until - Date.now()) / 1000) : 0;
  $('countdown').textContent = left > 0 ? `in ${left} s` : '';
  if (left > 0) setTimeout(countDown, 250, until);
}

// --- rooms ---

$('joining').addEventListener('submit', async (event) => {
  event.preventDefault();
  const room = $('room').value.trim();
  if (!room || !await attempt(() => client.join(room))) return;
  $('room').value = '';
  pick(room);
});

client.addEventListener('rooms', () => {
  drawTimer ||= setTimeout(() => {
    drawTimer = 0;
    draw();
  }, DRAW_MS);
});

function draw() {
  const rooms = client.rooms;
  $('no-rooms').hidden = rooms.length > 0;
  drawRooms($('rooms'), rooms, { selected: $('target').value.trim(), pick, leave });
}

function pick(room) {
  $('target').value = room;
  draw();
}

function leave(room) {
  $('room').focus();
  return attempt(() => client.leave(room));
}

$('target').addEventListener('input', draw);

// --- publish ---

$('publishing').addEventListener('submit', async (event) => {
  event.preventDefault();
  const wrong = fault($('data').value);
  invalid(wrong);
  if (wrong || client.state !== 'online') return;
  await attempt(() => client.publish($('target').value.trim(), $('event').value.trim(), $('data').value.trim()));
});

$('data').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) $('publishing').requestSubmit();
});

$('data').addEventListener('input', () => {
  if ($('data').getAttribute('aria-invalid') === 'true') invalid(fault($('data').value));
});

function invalid(text) {
  $('data').setAttribute('aria-invalid', String(text !== ''));
  $('data-error').textContent = text;
  $('data-error').hidden = text === '';
}

// Does a request; what the gateway has against it is said. True when done.
async function attempt(request) {
  try {
    await request();
    hideNotice();
    return true;
  } catch (err) {
    notice('error', ofError(err));
    return false;
  }
}

// --- frames ---

client.addEventListener('frame', ({ detail }) => {
  log.add(detail);
  if (!detail.out && detail.message?.room !== undefined) tell();
});

$('pause').addEventListener('click', () => log.pause(!log.paused));
$('clear').addEventListener('click', () => log.clear());
$('latest').addEventListener('click', () => log.toEnd());
$('beats').addEventListener('change', () => { $('frames').dataset.beats = String($('beats').checked); });

function drawLog() {
  const { shown, held, paused, unseen } = log;
  $('pause').textContent = paused ? 'Resume' : 'Pause';
  $('pause').dataset.paused = String(paused);
  $('frames-count').textContent = count(shown, paused ? held : 0);
  $('no-frames').hidden = shown > 0;
  $('latest').hidden = unseen === 0;
  $('latest').textContent = `↓ ${unseen} new`;
}

function count(shown, held) {
  const frames = shown === 1 ? '1 frame' : `${shown} frames`;
  if (held) return `${frames}, ${held} held back`;
  return shown < MAX_FRAMES ? frames : `the last ${frames}`;
}

// A screen reader hears that messages arrive, not each of them.
function tell() {
  arrived++;
  sayTimer ||= setTimeout(() => {
    $('announcer').textContent = arrived === 1 ? 'One message arrived.' : `${arrived} messages arrived.`;
    arrived = sayTimer = 0;
  }, SAY_MS);
}

// --- notices ---

$('notice-close').addEventListener('click', hideNotice);

function notice(kind, text) {
  $('notice').dataset.kind = kind;
  $('notice-text').textContent = text;
  $('notice').hidden = false;
}

function hideNotice() {
  $('notice').hidden = true;
  $('notice-text').textContent = '';
}
