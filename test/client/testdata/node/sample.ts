// A program that uses all that client.d.ts declares; what must not compile is
// marked so.
import { connect, Client, GatewayError, type Gap, type Item, type Options, type Room, type State } from './client.js';

interface Lobby {
  chat: { text: string };
  typing: null;
}

const options: Options = { token: async () => 'ann', hosts: ['gateway-2.example.com'], maxQueue: 10, WebSocket };
const client: Client = connect('wss://gateway.example.com/ws', options);
const off: () => void = client.on('state', (state: State, { code, reason, delay }) => console.log(state, code, reason, delay));
client.once('room', (room: Room) => console.log(room.name));
client.on('error', (err: GatewayError) => console.log(err.code === 'queue_full', err.retryable, err.reason));
client.on('event', ({ event, data }) => console.log(event, data));
off();

const lobby = client.room<Lobby>('lobby').resume('position');
lobby.on('chat', ({ text }, { offset, pos, skipped }) => console.log(text.length, offset, pos, skipped));
lobby.on('gap', ({ reason, from, offset }: Gap) => console.log(reason, from, offset));
lobby.on('*', (event, data, { room }) => console.log(event, data, room));
lobby.on('member_joined', (user) => console.log(user.length));
lobby.off('chat', () => {});

async function main(): Promise<void> {
  await lobby.joined;
  const { offset } = await lobby.publish('chat', { text: 'hello' }, { echo: false, idempotencyKey: 'k', publishTimeout: 1000 });
  const sent: boolean = lobby.send('typing', null, { conflateKey: 'ann' });
  const members: string[] = await lobby.members();
  const { publications, more } = await lobby.history({ since: lobby.position, limit: 10 });
  const order = await client.request<{ order: number }>('order:create', { sku: 'x' });
  console.log(offset, sent, members, publications[0]?.pos, more, order.order, client.user?.name, client.identity?.userId, client.state);
  for await (const item of lobby) read(item);
  await client.refresh();
  await lobby.leave();
  client.close();
}

function read(item: Item<Lobby>): void {
  if (item.event === 'chat') console.log(item.data.text, item.offset);
  if (item.event === 'gap') console.log((item.data as Gap).reason);
}

// @ts-expect-error: chat has a text
lobby.publish('chat', { words: 'hello' });
// @ts-expect-error: the room has no such event
lobby.publish('shout', 'hello');
// @ts-expect-error: there is no such option
connect('wss://gateway.example.com/ws', { tokens: 'ann' });
// @ts-expect-error: it is read only
client.state = 'open';

void main();
