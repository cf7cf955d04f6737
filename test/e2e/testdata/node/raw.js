// Engine.IO without a library: polls and WebSockets whose messages wait in
// order to be read.
const { WebSocket } = require('ws');
const { assert, url, within } = require('./harness.js');

// at returns the URL of a transport of a layer, engine or socket.
const at = (layer, query) => `${url}/${layer}.io/?${query}`;

class Polling {
  constructor(layer, sid) { this.layer = layer; this.sid = sid; }

  // open begins a session and returns it, with what its open packet says.
  static async open(layer, query = 'EIO=4&transport=polling') {
    const r = await fetch(at(layer, query));
    const text = await r.text();
    assert.strictEqual(r.status, 200, text);
    assert.strictEqual(text[0], '0');
    const said = JSON.parse(text.slice(1));
    const p = new Polling(layer, said.sid);
    p.said = said;
    return p;
  }

  url(more = '') { return at(this.layer, `EIO=4&transport=polling&sid=${this.sid}${more}`); }

  async get(options) {
    const r = await fetch(this.url(), options);
    return { status: r.status, text: await r.text(), headers: r.headers };
  }

  async post(body) {
    const r = await fetch(this.url(), { method: 'POST', body });
    return { status: r.status, text: await r.text() };
  }

  // packets polls until some packets other than pings have come.
  async packets(n) {
    const got = [];
    while (got.length < n) {
      const { status, text } = await this.get();
      assert.strictEqual(status, 200, text);
      for (const packet of text.split('\x1e')) {
        if (packet === '2') await this.post('3');
        else if (packet !== '6') got.push(packet);
      }
    }
    return got;
  }
}

class Socket {
  // open begins a session on a WebSocket, or probes one with a sid.
  constructor(layer, query = 'EIO=4&transport=websocket') {
    this.messages = [];
    this.readers = [];
    this.pings = false; // whether pings are read, else they are answered
    this.ws = new WebSocket(at(layer, query).replace(/^http/, 'ws'));
    this.ws.binaryType = 'arraybuffer';
    this.ws.on('error', () => {}); // 'close' follows
    this.opened = new Promise((done) => this.ws.on('open', done));
    this.closed = new Promise((done) => this.ws.on('close', done));
    this.ws.addEventListener('message', ({ data }) => {
      if (data === '2' && !this.pings) return this.ws.send('3');
      const reader = this.readers.shift();
      if (reader) reader(data);
      else this.messages.push(data);
    });
  }

  send(data) { this.ws.send(data); }

  read() {
    if (this.messages.length) return Promise.resolve(this.messages.shift());
    return within(new Promise((done) => this.readers.push(done)), 'a message');
  }

  // end waits for the end and returns the close code.
  end() { return within(this.closed, 'the end of a WebSocket'); }
}

const bytes = (...values) => Uint8Array.from(values);

module.exports = { Polling, Socket, at, bytes };
