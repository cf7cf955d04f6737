// JSON for the eye. Works on the text, not on parsed values: a number with
// more digits than a double holds is shown as it was sent.

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

// Cuts JSON text into indented pieces {text, kind}; kind is key, string,
// number, word or ''.
export function pieces(text) {
  const tokens = text.match(TOKEN) ?? [];
  const out = [];
  let depth = 0;
  const put = (piece, kind = '') => out.push({ text: piece, kind });
  const line = () => put('\n' + '  '.repeat(depth));
  tokens.forEach((token, i) => {
    const next = tokens[i + 1];
    switch (token) {
      case '{':
      case '[':
        put(token);
        depth++;
        if (next !== '}' && next !== ']') line();
        return;
      case '}':
      case ']':
        depth = Math.max(0, depth - 1);
        if (tokens[i - 1] !== '{' && tokens[i - 1] !== '[') line();
        return put(token);
      case ',':
        put(',');
        return line();
      case ':':
        return put(': ');
    }
    put(token, kindOf(token, next));
  });
  return out;
}

function kindOf(token, next) {
  if (token[0] === '"') return next === ':' ? 'key' : 'string';
  return /^[-\d]/.test(token) ? 'number' : 'word';
}

// Fills a <pre> with pretty, coloured JSON; text that is not JSON as it is.
export function show(pre, text, isJSON) {
  if (!isJSON) {
    pre.textContent = text;
    return;
  }
  pre.replaceChildren(...pieces(text).map(({ text: piece, kind }) => {
    if (!kind) return document.createTextNode(piece);
    const span = document.createElement('span');
    span.className = `json-${kind}`;
    span.textContent = piece;
    return span;
  }));
}

// The place of a JSON error in plain words, '' for JSON.
export function fault(text) {
  if (text.trim() === '') return 'Data is empty. Write null if you mean nothing.';
  try {
    JSON.parse(text);
    return '';
  } catch (err) {
    return `Data is not JSON: ${err.message}`;
  }
}
