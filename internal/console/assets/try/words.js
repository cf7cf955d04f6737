// What happened, in plain words.

const CLOSES = {
  1001: 'The gateway ended without a drain.',
  1002: 'The gateway saw a malformed frame.',
  1003: 'The gateway speaks JSON text only.',
  1006: 'The connection was lost.',
  1007: 'The gateway got text that is not UTF-8.',
  1008: 'The policy forbids what was asked.',
  1009: 'The message was larger than the gateway allows.',
  1011: 'The gateway had a fault.',
  1012: 'The gateway restarts.',
  1013: 'The gateway is overloaded.',
  4001: 'The gateway did not accept the credential.',
  4002: 'The token has expired.',
  4003: 'The connection was ended by a backend or an operator.',
  4008: 'This tab read slower than its rooms speak.',
  4009: 'A limit on connections was reached.',
};

const CODES = {
  invalid_message: 'The message was malformed',
  unauthenticated: 'Not authenticated',
  forbidden: 'Not allowed',
  unknown_event: 'The gateway does not know this event',
  too_large: 'Too large',
  rate_limited: 'Too fast',
  limit_exceeded: 'A limit was reached',
  insufficient_state: 'The history does not reach that far back',
  conflict: 'In conflict with an earlier request',
  unavailable: 'Not available just now',
  internal: 'The gateway had a fault',
  offline: 'Not connected',
  closed: 'Connection lost',
  timeout: 'No reply',
};

const REASONS = {
  epoch_changed: 'the room began anew',
  entry_changed: 'the room began anew',
  ahead: 'the room began anew',
  trimmed: 'the history does not reach back so far',
  expired: 'the history does not reach back so far',
  history_lost: 'the history is gone',
  overflow: 'it was more than fits the queue',
  too_far_behind: 'too much was missed',
};

// An error of a request or of the server.
export function ofError({ code, message }) {
  const what = CODES[code] ?? code ?? 'Error';
  return message ? `${what}: ${message}` : what;
}

// A problem of the client, as {kind, text}: kind is error, warn or info.
export function ofProblem(problem, url) {
  const reason = REASONS[problem.reason] ?? problem.reason;
  const because = reason ? ` (${reason})` : '';
  switch (problem.kind) {
    case 'closed': return ofClose(problem, url);
    case 'refused': return { kind: 'error', text: `Could not join ${problem.room}: ${problem.message}` };
    case 'removed': return { kind: 'warn', text: `The gateway took you out of ${problem.room}${because}.` };
    case 'lost': return { kind: 'warn', text: `Messages in ${problem.room} may have been missed${because}.` };
    case 'gap': return { kind: 'warn', text: `A hole in ${problem.room}: messages are missing${because}.` };
    case 'drain': return { kind: 'info', text: `The gateway asks to reconnect${because}.` };
    case 'expiring': return { kind: 'warn', text: `The token expires at ${new Date(problem.at).toLocaleTimeString()}.` };
  }
  return { kind: 'error', text: ofError(problem) };
}

function ofClose({ code, reason, established, again }, url) {
  if (!established && code === 1006) {
    return { kind: 'error', text: `Could not connect to ${url}. Is the public port reachable from here, and this page's origin allowed?` };
  }
  const what = CLOSES[code] ?? 'The connection was closed.';
  const facts = reason ? `${code}: ${reason}` : code;
  const next = again ? ' This tab reconnects by itself.' : '';
  return { kind: again ? 'warn' : 'error', text: `${what}${next} (${facts})` };
}

// The state as the header shows it.
export function ofState(state, identity) {
  switch (state) {
    case 'online': return `Connected as ${identity.userId}`;
    case 'connecting': return 'Connecting…';
    case 'waiting': return 'Reconnecting';
  }
  return 'Not connected';
}
