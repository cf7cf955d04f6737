package hub

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Fleet is told what is on this instance, and tells what is on the others.
// Safe for concurrent use.
//
// Entered, Left and Counted are called with a room's lock held, in the order
// of events: they must not block, and must not call the hub.
type Fleet interface {
	// Entered says that a user is in a room on this instance. It may be said
	// again.
	Entered(room, user string)
	// Left says that the user's last connection has left the room. Until the
	// grace is over the user counts as there, and may come back.
	Left(room, user string, grace time.Duration)
	// Counted says how many connections a room has on this instance, 0 when
	// it has lost the last.
	Counted(room string, connections int)
	// Elsewhere tells who is in a room on other instances: at most limit
	// users, those after the given one. It asks none of them, and has what
	// could be found out also with an error.
	Elsewhere(ctx context.Context, room, after string, limit int) (Elsewhere, error)
}

// Elsewhere says who is in a room on other instances.
type Elsewhere struct {
	Users       []string // sorted, each once
	More        bool     // there are others behind them
	Connections int
}

// UseFleet says whom the hub shares rooms with. Call it before the first
// session is added. From then on the fleet decides what members are told of
// users who come and go; it says so through Notice.
func (h *Hub) UseFleet(f Fleet) { h.fleet = f }

// mostNews bounds what a join notes of users who come and go meanwhile.
const mostNews = 10 * presenceLimit

// news is what instances tell each other of a user in a room.
type news struct {
	Event string `json:"event"` // wire.EventMemberJoined or wire.EventMemberLeft
	User  string `json:"user"`
}

// EncodeNotice makes the payload of Notice: the user has come to the room's
// members, or has left all of them.
func EncodeNotice(joined bool, user string) []byte {
	n := news{Event: wire.EventMemberLeft, User: user}
	if joined {
		n.Event = wire.EventMemberJoined
	}
	raw, err := json.Marshal(n)
	if err != nil {
		return nil // not reached: strings always encode
	}
	return raw
}

// Notice implements broker.Noticed: it tells the room's members on this
// instance of a user who came or went. What it does not know it ignores.
func (h *Hub) Notice(name string, payload []byte) {
	r := h.find(name)
	n, ok := decodeNotice(payload)
	if r == nil || !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.Event == wire.EventMemberLeft && r.users[n.User] > 0 {
		// Who left elsewhere came here at that moment, and the others may have
		// been told of both in this order only now.
		h.fleet.Entered(name, n.User)
		return
	}
	for _, st := range r.members {
		if st.joining != nil && len(st.joining.news) < mostNews {
			st.joining.news = append(st.joining.news, n)
		}
	}
	if h.tells(r) {
		h.announceLocked(r, n.Event, n.User, nil)
	}
}

// decodeNotice reads what EncodeNotice makes.
func decodeNotice(payload []byte) (n news, ok bool) {
	err := json.Unmarshal(payload, &n)
	return n, err == nil && n.User != "" && (n.Event == wire.EventMemberJoined || n.Event == wire.EventMemberLeft)
}

// update brings a list of users up to date.
func update(users []string, since []news) []string {
	for _, n := range since {
		users = slices.DeleteFunc(users, func(user string) bool { return user == n.User })
		if n.Event == wire.EventMemberJoined {
			users = append(users, n.User)
		}
	}
	return users
}

// elsewhere reads who is in a room on other instances, for a member that joins
// it. While that cannot be found out members see those of their own instance.
func (h *Hub) elsewhere(ctx context.Context, name string) Elsewhere {
	if h.fleet == nil || !h.presence(name) {
		return Elsewhere{}
	}
	// An error is nothing to the member, and the fleet counts it.
	e, _ := h.fleet.Elsewhere(ctx, name, "", presenceLimit+1)
	return e
}

// listLocked notes a seat of a user, and tells the fleet of the first. The
// room of a user needs no list. Guarded by room.mu.
func (h *Hub) listLocked(r *room, st *seat, user string) {
	if ofUser(r.name) || user == "" {
		return
	}
	if r.users == nil {
		r.users = map[string]int{}
	}
	st.user = user
	if r.users[user]++; r.users[user] == 1 {
		h.fleet.Entered(r.name, user)
	}
}

// unlistLocked forgets a seat, and tells the fleet of a user's last. Guarded by
// room.mu.
func (h *Hub) unlistLocked(r *room, st *seat, lost bool) {
	user := st.user
	if user == "" {
		return
	}
	st.user = ""
	if r.users[user]--; r.users[user] > 0 {
		return
	}
	delete(r.users, user)
	grace := time.Duration(0)
	if lost && h.presence(r.name) {
		grace = PresenceGrace
	}
	h.fleet.Left(r.name, user, grace)
}

// countedLocked tells the fleet how many members a room has. Guarded by
// room.mu.
func (h *Hub) countedLocked(r *room) {
	if h.fleet != nil {
		h.fleet.Counted(r.name, len(r.members))
	}
}

// PresenceEverywhere returns a page of a room's users on all instances, at most
// limit and at most 1000 of those after the given one. With an error some of
// other instances are missing.
func (h *Hub) PresenceEverywhere(ctx context.Context, name, after string, limit int) (Page, error) {
	limit = min(max(limit, 1), PresencePage)
	page := h.Presence(name, after)
	if h.fleet == nil {
		return merge(page, Elsewhere{}, limit), nil
	}
	e, err := h.fleet.Elsewhere(ctx, name, after, limit)
	return merge(page, e, limit), err
}

// OccupantsEverywhere is how many connections are in a room on all instances,
// at no cost that grows with them here. With an error some of other instances
// are missing.
func (h *Hub) OccupantsEverywhere(ctx context.Context, name string) (int, error) {
	here := h.Occupants(name)
	if h.fleet == nil {
		return here, nil
	}
	e, err := h.fleet.Elsewhere(ctx, name, "", 1)
	return here + e.Connections, err
}

// merge makes one page of what is here and elsewhere. Both are whole up to the
// last user they name.
func merge(here Page, elsewhere Elsewhere, limit int) Page {
	users := unique(append(here.Users, elsewhere.Users...))
	page := Page{Users: users, Count: here.Count + elsewhere.Connections}
	if len(users) > limit || here.Next != "" || elsewhere.More {
		page.Users = users[:min(limit, len(users))]
		page.Next = page.Users[len(page.Users)-1]
	}
	return page
}
