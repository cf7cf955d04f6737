package hub

import (
	"slices"
	"strings"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// RoomCount is a room and the connections in it.
type RoomCount struct {
	Room        string
	Connections int
}

// Rooms lists at most limit rooms with members on this instance whose names
// begin with prefix and stand after the given one, in the order of names. more
// tells whether there are others behind them. It looks at every room's name.
func (h *Hub) Rooms(prefix, after string, limit int) (page []RoomCount, more bool) {
	var names []string
	span := nameSpan{prefix: prefix, after: after}
	for i := range h.rooms {
		found, beyond := h.rooms[i].names(span)
		names = append(names, found...)
		slices.Sort(names)
		more = more || beyond
		if len(names) > limit {
			names, more = names[:limit], true
		}
		if more {
			span.last = names[len(names)-1] // the page is full: nothing behind it is on it
		}
	}
	page = make([]RoomCount, 0, len(names))
	for _, name := range names {
		if r := h.find(name); r != nil {
			r.mu.Lock()
			page = append(page, RoomCount{name, len(r.members)})
			r.mu.Unlock()
		}
	}
	return page, more
}

// nameSpan says which names are looked for.
type nameSpan struct {
	prefix, after string
	last          string // none after it; "": no bound
}

// names returns a shard's rooms within a span, and whether there are others
// behind it.
func (sh *roomShard) names(span nameSpan) (names []string, beyond bool) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for name := range sh.byName {
		switch {
		case name <= span.after || !strings.HasPrefix(name, span.prefix):
		case span.last != "" && name > span.last:
			beyond = true
		default:
			names = append(names, name)
		}
	}
	return names, beyond
}

// Census counts what is on this instance now.
type Census struct {
	Connections, Users, Rooms, Memberships int // guests are users too
}

// Census counts. It looks at every room's name.
func (h *Hub) Census() Census {
	c := Census{Connections: h.Count(), Rooms: int(h.roomCount.Load()), Memberships: int(h.memberships.Load())}
	for i := range h.rooms {
		c.Users += h.rooms[i].users()
	}
	return c
}

// users counts a shard's rooms that are the whole room of a user.
func (sh *roomShard) users() int {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	n := 0
	for name := range sh.byName {
		if id, ok := strings.CutPrefix(name, wire.UserRoomPrefix); ok && !strings.Contains(id, ":") {
			n++
		}
	}
	return n
}

// Here is what this instance has of a room.
type Here struct {
	Room        string
	Connections int
	Users       []string // as the fleet was told, in no order
}

// EachRoom calls f for every room with members, in no order, until it returns
// false. No lock is held meanwhile. What has changed before a room's turn is in
// its Here, and the fleet is told of what changes later.
func (h *Hub) EachRoom(f func(Here) bool) {
	for i := range h.rooms {
		names, _ := h.rooms[i].names(nameSpan{})
		for _, name := range names {
			if here := h.here(name); here.Connections > 0 && !f(here) {
				return
			}
		}
	}
}

func (h *Hub) here(name string) Here {
	here := Here{Room: name}
	if r := h.find(name); r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		here.Connections = len(r.members)
		for user := range r.users {
			here.Users = append(here.Users, user)
		}
	}
	return here
}

// Has tells whether a user is in a room on this instance, as the fleet was told.
func (h *Hub) Has(name, user string) bool {
	r := h.find(name)
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.users[user] > 0
}

// Occupancy counts the connections in a room on this instance.
func (h *Hub) Occupancy(name string) int {
	r := h.find(name)
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)
}

// Tells reports whether a room with so many connections on all instances tells
// its members who comes and goes.
func (h *Hub) Tells(name string, connections int) bool {
	return connections <= presenceLimit && h.presence(name)
}
