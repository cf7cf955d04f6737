package hub

import (
	"cmp"
	"slices"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	// presenceLimit is the number of connections above which a room tells its
	// members a count, and nothing of who comes and goes.
	presenceLimit = 100
	// PresenceGrace is how long a user who lost the connection may take to
	// come back before the others are told.
	PresenceGrace = 5 * time.Second
	// PresencePage is the most users on one page of a listing.
	PresencePage = 1000
)

// Members says who is in a room.
type Members struct {
	Users []string // sorted; nil above the limit of rooms that name them
	Count int      // users, or above the limit connections
}

// Page is a part of a room's users.
type Page struct {
	Users []string // sorted by id
	Next  string   // give it to get the next page; "" on the last
	Count int      // connections in the room
}

// grace is a user who left a moment ago and is still listed.
type grace struct {
	hub   *Hub
	room  *room
	user  string
	timer wheel.Timer
}

// Expired implements wheel.Task: the user has not come back.
func (g *grace) Expired() {
	g.room.mu.Lock()
	defer g.room.mu.Unlock()
	if g.room.graces[g.user] == g {
		delete(g.room.graces, g.user)
		if g.hub.tells(g.room) {
			g.hub.announceLocked(g.room, wire.EventMemberLeft, g.user, nil)
		}
	}
}

// tells reports whether a room tells its members who comes and goes. Guarded
// by room.mu.
func (h *Hub) tells(r *room) bool { return len(r.members) <= presenceLimit && h.presence(r.name) }

// membersLocked lists the users of a room, here and elsewhere. Guarded by
// room.mu.
func membersLocked(r *room, elsewhere Elsewhere, since []news) *Members {
	if n := len(r.members) + elsewhere.Connections; n > presenceLimit {
		return &Members{Count: n}
	}
	users := unique(append(r.usersLocked(), update(elsewhere.Users, since)...))
	return &Members{Users: users, Count: len(users)}
}

// usersLocked returns the users of a room, in no order and some repeated.
// Guarded by room.mu.
func (r *room) usersLocked() []string {
	users := make([]string, 0, len(r.members)+len(r.graces))
	for _, st := range r.members {
		if st.entered {
			users = append(users, userOf(st.sess))
		}
	}
	for user := range r.graces {
		users = append(users, user)
	}
	return users
}

func unique(users []string) []string {
	slices.Sort(users)
	return slices.Compact(users)
}

// Occupants is how many connections of this instance are in a room.
func (h *Hub) Occupants(name string) int {
	r := h.find(name)
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)
}

// Presence returns a page of a room's users on this instance, those after the
// given one.
func (h *Hub) Presence(name, after string) Page {
	r := h.find(name)
	if r == nil {
		return Page{Users: []string{}}
	}
	r.mu.Lock()
	users, count := r.usersLocked(), len(r.members)
	r.mu.Unlock()
	users = unique(users) // not under the lock: a room may be very large
	from, found := slices.BinarySearchFunc(users, after, cmp.Compare)
	if found {
		from++
	}
	page := Page{Users: users[from:], Count: count}
	if len(page.Users) > PresencePage {
		page.Users = page.Users[:PresencePage]
		page.Next = page.Users[PresencePage-1]
	}
	return page
}

// enteredLocked tells the others of a new member's user. Guarded by room.mu.
func (h *Hub) enteredLocked(r *room, st *seat) {
	user := userOf(st.sess)
	if h.fleet != nil {
		h.listLocked(r, st, user)
		return
	}
	if g := r.graces[user]; g != nil {
		h.wheel.Cancel(&g.timer)
		delete(r.graces, user)
		return
	}
	if h.tells(r) && !r.hasUser(user, st) {
		h.announceLocked(r, wire.EventMemberJoined, user, st)
	}
}

// leftLocked tells the others that a user has gone, at once or after a grace,
// if they had been told of it. Guarded by room.mu.
func (h *Hub) leftLocked(r *room, st *seat, lost bool) {
	if len(r.members) == 0 {
		for _, g := range r.graces {
			h.wheel.Cancel(&g.timer)
		}
		r.graces = nil
		return
	}
	user := userOf(st.sess)
	if !st.entered || !h.tells(r) || r.hasUser(user, nil) {
		return
	}
	if !lost || len(r.graces) >= presenceLimit {
		h.announceLocked(r, wire.EventMemberLeft, user, nil)
		return
	}
	if r.graces == nil {
		r.graces = map[string]*grace{}
	}
	g := &grace{hub: h, room: r, user: user}
	r.graces[user] = g
	h.wheel.Schedule(&g.timer, PresenceGrace, g)
}

// hasUser tells whether a user has a seat other than the given one. Guarded by
// room.mu.
func (r *room) hasUser(user string, but *seat) bool {
	for _, st := range r.members {
		if st != but && st.entered && userOf(st.sess) == user {
			return true
		}
	}
	return false
}

// announceLocked sends a presence event to the members of a room, but one and
// those who are the user. Guarded by room.mu.
func (h *Hub) announceLocked(r *room, event, user string, but *seat) {
	e := wire.Event{Name: event, Data: presenceData(r.name, user)}
	var encoded []encoding
	for _, st := range r.members {
		if st == but || st.joining != nil || st.user == user {
			continue
		}
		c := st.sess.Codec()
		i := slices.IndexFunc(encoded, func(e encoding) bool { return e.codec == c })
		if i < 0 {
			i = len(encoded)
			encoded = append(encoded, encoding{c, []*wire.Frame{c.Event(e)}})
		}
		st.sess.SendFrames(encoded[i].frames)
	}
}

func userOf(s *session.Session) string {
	if id := s.Identity(); id != nil {
		return id.UserID
	}
	return ""
}
