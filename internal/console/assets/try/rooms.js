// The list of rooms; each is also the target of a publish.

// Draws the rooms. selected is where the publish form points; pick and leave
// are called with a room's name. Rows that exist are changed in place: what
// the pointer or the focus is on stays there however busy a room is.
export function drawRooms(list, rooms, { selected, pick, leave }) {
  const names = new Set(rooms.map((room) => room.name));
  const rows = new Map();
  for (const item of [...list.children]) {
    if (names.has(item.dataset.room)) rows.set(item.dataset.room, item);
    else item.remove();
  }
  for (const room of rooms) {
    const item = rows.get(room.name) ?? list.appendChild(row(room, pick, leave));
    update(item, room, room.name === selected);
  }
}

function row(room, pick, leave) {
  const item = document.createElement('li');
  item.className = 'room';
  item.dataset.testid = 'room';
  item.dataset.room = room.name;
  const target = button('room-pick', () => pick(room.name));
  target.title = 'Publish into this room';
  const name = document.createElement('span');
  name.className = 'room-name';
  name.textContent = room.name;
  const facts = document.createElement('span');
  facts.className = 'room-facts';
  target.append(name, facts);
  item.append(target);
  if (!room.own) {
    const out = button('room-leave', () => leave(room.name));
    out.textContent = 'Leave';
    out.setAttribute('aria-label', `Leave ${room.name}`);
    item.append(out);
  }
  return item;
}

function update(item, room, selected) {
  item.dataset.joined = String(room.joined);
  item.querySelector('.room-pick').setAttribute('aria-pressed', String(selected));
  item.querySelector('.room-facts').textContent = facts(room);
  const out = item.querySelector('.room-leave');
  if (out) out.disabled = !room.joined;
}

function facts(room) {
  if (!room.joined) return 'not joined';
  const here = room.members?.size ?? room.count;
  const parts = [];
  if (room.own) parts.push('yours');
  if (here !== undefined) parts.push(`${here} here`);
  if (room.offset !== undefined) parts.push(`#${room.offset}`);
  return parts.join(' · ');
}

function button(name, click) {
  const b = document.createElement('button');
  b.type = 'button';
  b.className = name;
  b.addEventListener('click', click);
  return b;
}
