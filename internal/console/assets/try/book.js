// The book of a client's rooms: which it is in, who is there, and the position
// from which to resume. It is written from what the gateway says.
//
// A room is {name, own, joined, pos, offset, members, count}: own is the
// user's own room, which the gateway joins; members a Set of user ids, or null
// when the room has none or only counts.

export class Book {
  #rooms;

  // names are rooms to join once there is a connection.
  constructor(names = []) {
    this.#rooms = new Map(names.map((name) => [name, { name, own: false, joined: false }]));
  }

  get rooms() { return [...this.#rooms.values()]; }

  position(name) { return this.#rooms.get(name)?.pos; }

  forget(name) { this.#rooms.delete(name); }

  // The connection is gone: nothing is joined any more.
  away() {
    for (const room of this.rooms) room.joined = false;
  }

  // Notes a message. Returns a problem that the user should know of, or null.
  note({ event, room, offset, pos, data, id }) {
    switch (event) {
      case 'room_joined': return this.#joined(data, id === undefined);
      case 'room_left': return this.#left(data, id === undefined);
      case 'member_joined': return this.#member(data.room, (members) => members.add(data.userId));
      case 'member_left': return this.#member(data.room, (members) => members.delete(data.userId));
      case 'gap':
        this.#move(data.room, data.offset, data.pos);
        return { kind: 'gap', room: data.room, reason: data.reason };
    }
    if (room !== undefined && pos !== undefined) this.#move(room, offset, pos);
    return null;
  }

  // Unasked is the join of the user's own room.
  #joined({ room, offset, pos, recovered, reason, members }, unasked) {
    const known = this.#rooms.get(room);
    this.#rooms.set(room, {
      name: room,
      own: known?.own ?? unasked,
      joined: true,
      pos,
      offset,
      members: Array.isArray(members) ? new Set(members) : null,
      count: typeof members === 'number' ? members : undefined,
    });
    return known?.pos && !recovered && reason ? { kind: 'lost', room, reason } : null;
  }

  #left({ room, reason }, unasked) {
    this.#rooms.delete(room);
    return unasked ? { kind: 'removed', room, reason } : null;
  }

  #member(name, change) {
    const members = this.#rooms.get(name)?.members;
    if (members) change(members);
    return null;
  }

  #move(name, offset, pos) {
    const room = this.#rooms.get(name);
    if (room) Object.assign(room, { offset, pos });
  }
}
