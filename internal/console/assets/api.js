// Calls of the server API. The key lives in this object alone: it is in no
// storage, cookie or address, and is gone with the tab.

const PREFIX = '/api/v1';
const REQUEST_MS = 35_000; // a little more than the gateway's own bound

// What was refused or did not happen. code and message are the gateway's; the
// page's own codes are no_key (nobody gave a key), unreachable and bad_answer.
export class ApiError extends Error {
  constructor(code, message, status = 0) {
    super(message);
    this.code = code;
    this.status = status; // of HTTP, 0 without an answer
  }
}

export class Api {
  #key = '';
  #asking = null; // the question that is open, as a promise of true or false
  #askKey;
  #changed;

  // askKey(check, wrong) shows the question for a key, and resolves to the key
  // once check(key) has resolved to '', to '' when it was dismissed. changed is
  // called when there is a key or no longer.
  constructor(askKey, changed) {
    this.#askKey = askKey;
    this.#changed = changed;
  }

  get hasKey() { return this.#key !== ''; }

  // Asks for a key if there is none; true when there is one.
  async unlock(wrong = '') {
    if (this.hasKey) return true;
    this.#asking ??= this.#askKey(check, wrong).then((key) => this.#take(key)).finally(() => { this.#asking = null; });
    return this.#asking;
  }

  forget() {
    this.#key = '';
    this.#changed();
  }

  // get('/rooms', { prefix: 'a', limit: 10 }) resolves with the answer's JSON.
  // Empty and undefined parameters are left out. Encode names in a path with
  // encodeURIComponent. signal aborts.
  get(path, query = {}, { signal } = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
    const text = new URLSearchParams(given).toString();
    return this.#call('GET', text ? `${path}?${text}` : path, undefined, signal);
  }

  post(path, body, { signal } = {}) {
    return this.#call('POST', path, JSON.stringify(body), signal);
  }

  // A key that is refused is forgotten and asked for again: keys change.
  async #call(method, path, body, signal) {
    for (let wrong = ''; ; wrong = 'The key is no longer accepted.') {
      if (wrong && !await this.unlock(wrong) || !this.hasKey) throw new ApiError('no_key', 'An API key is needed.');
      const key = this.#key;
      try {
        return await send(key, method, path, body, signal);
      } catch (err) {
        if (err.status !== 401) throw err;
        if (this.#key === key) this.forget();
      }
    }
  }

  #take(key) {
    if (key === '') return false;
    this.#key = key;
    this.#changed();
    return true;
  }
}

// Says what is wrong with a key, '' if it is taken.
async function check(key) {
  if (/[^\x20-\x7e]/.test(key)) return 'A key in a request has no characters but those of ASCII.';
  try {
    await send(key, 'GET', '/instances');
  } catch (err) {
    return err.status === 401 ? 'The gateway does not accept this key.' : err.message;
  }
  return '';
}

async function send(key, method, path, body, signal) {
  const limit = AbortSignal.timeout(REQUEST_MS);
  const headers = { Authorization: `Bearer ${key}` };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(PREFIX + path, {
      method, headers, body, cache: 'no-store', credentials: 'omit', signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (err) {
    if (signal?.aborted) throw err;
    throw new ApiError('unreachable', 'The gateway does not answer.');
  }
  const answer = await response.text().then(parse).catch(() => null);
  if (response.ok && answer !== null) return answer;
  throw new ApiError(answer?.code ?? 'bad_answer', answer?.detail ?? `The gateway answered ${response.status}.`, response.status);
}

// JSON, but that whole numbers with more digits than a double holds stay as they
// were sent, where the browser can do that: JSON.stringify writes them so again.
function parse(text) {
  return JSON.parse(text, (_, value, context) => (
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source) && JSON.rawJSON
      ? JSON.rawJSON(context.source) : value));
}
