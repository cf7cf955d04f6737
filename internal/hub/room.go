package hub

import (
	"context"
	"sync"

	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// room is a room with members on this instance. It exists from the first
// join's beginning to the last leave's end.
type room struct {
	name string
	refs int32 // guarded by the shard's mu: seats, taken or about to be
	live bool  // guarded by the shard's mu: subscribed

	// gate is held to subscribe, or to unsubscribe. Nobody waits for it who
	// leaves a room that is live, however long another room's takes.
	gate sync.Mutex

	mu      sync.Mutex
	members []*seat           // guarded by mu
	graces  map[string]*grace // guarded by mu: users who left a moment ago
	users   map[string]int    // guarded by mu: seats by user, kept for the fleet alone
	last    wire.Position     // guarded by mu: of what was delivered to members last
}

// seat is a session's place in a room.
type seat struct {
	room *room
	sess *session.Session

	// Guarded by room.mu.
	index   int32  // in members, -1 when not seated
	entered bool   // the others know
	origin  bool   // published something of the batch under delivery, or is left out
	epoch   uint64 // of the position the member has, 0 when it has none
	from    uint64 // what the member has: nothing up to it is delivered again
	quiet   bool   // nothing was delivered since it had that position
	joining *joining
	user    string // as the fleet was told, "" when it was not
}

// Room implements session.Seat.
func (s *seat) Room() string { return s.room.name }

// joining holds back what is delivered while the log is read.
type joining struct {
	held    []*wire.Publication
	bytes   int
	restart bool   // the log must be read again
	lost    bool   // it was, and what had been held back is gone
	news    []news // of members elsewhere, who may not be in the list that is read
}

// enter counts a seat to be taken in the room and returns once everything
// published to it from now on is delivered.
func (h *Hub) enter(ctx context.Context, name string) (*room, error) {
	sh := &h.rooms[h.shard(name)]
	sh.mu.Lock()
	r := sh.byName[name]
	if r == nil {
		if !h.countRoom(name) {
			sh.mu.Unlock()
			return nil, errRooms
		}
		r = &room{name: name}
		sh.byName[name] = r
	}
	r.refs++
	live := r.live
	sh.mu.Unlock()
	if live {
		return r, nil
	}

	r.gate.Lock()
	defer r.gate.Unlock()
	if sh.live(r) {
		return r, nil // by another's doing
	}
	if err := h.broker.Subscribe(ctx, name); err != nil {
		h.drop(sh, r)
		return nil, err
	}
	sh.mu.Lock()
	r.live = true
	sh.mu.Unlock()
	return r, nil
}

func (sh *roomShard) live(r *room) bool {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return r.live
}

// exit gives a seat of a live room back.
func (h *Hub) exit(r *room) {
	sh := &h.rooms[h.shard(r.name)]
	sh.mu.Lock()
	if r.refs > 1 {
		r.refs--
		sh.mu.Unlock()
		return
	}
	sh.mu.Unlock()
	r.gate.Lock()
	defer r.gate.Unlock()
	if sh.ends(r) {
		// Nobody listens any more: an error changes nothing.
		_ = h.broker.Unsubscribe(h.ctx, r.name)
	}
	h.drop(sh, r)
}

// ends ends a room's subscription if its last seat is about to be given back:
// whoever comes from now on waits at the gate and subscribes anew.
func (sh *roomShard) ends(r *room) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if r.refs > 1 {
		return false
	}
	r.live = false
	return true
}

// drop gives a seat back and forgets the room with its last one. The gate is
// held.
func (h *Hub) drop(sh *roomShard, r *room) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if r.refs--; r.refs == 0 {
		delete(sh.byName, r.name)
		h.discountRoom(r.name)
	}
}

// sit adds a member. Guarded by room.mu.
func (r *room) sit(st *seat) {
	st.index = int32(len(r.members)) //nolint:gosec // far fewer connections
	r.members = append(r.members, st)
}

// stand takes a member away; false when it was none. Guarded by room.mu.
func (r *room) stand(st *seat) bool {
	if st.index < 0 {
		return false
	}
	last := len(r.members) - 1
	moved := r.members[last]
	r.members[st.index], moved.index = moved, st.index
	r.members[last] = nil
	r.members = r.members[:last]
	if cap(r.members) > 64 && last < cap(r.members)/4 {
		r.members = append(make([]*seat, 0, cap(r.members)/2), r.members...)
	}
	st.index, st.joining = -1, nil
	return true
}

// stand takes a seat away from its room. lost tells a connection that ended
// from a wish to leave: others see the former's user go only after a grace.
func (h *Hub) stand(st *seat, lost bool) {
	r := st.room
	r.mu.Lock()
	stood := h.standLocked(st, lost)
	r.mu.Unlock()
	if stood {
		h.exit(r)
	}
}

// standLocked is stand but for giving the room up; false when the seat was
// none. Guarded by room.mu.
func (h *Hub) standLocked(st *seat, lost bool) bool {
	r := st.room
	if !r.stand(st) {
		return false
	}
	h.memberships.Add(-1)
	h.vacatedLocked(r)
	h.countedLocked(r)
	if h.fleet != nil {
		h.unlistLocked(r, st, lost)
	} else {
		h.leftLocked(r, st, lost)
	}
	return true
}

// Leave ends a session's membership; false when there was none.
func (h *Hub) Leave(s *session.Session, name string) bool { return h.leave(s, name, nil) }

// presence tells whether members of the room see each other.
func (h *Hub) presence(name string) bool {
	rule := h.rule(name)
	return rule != nil && rule.Presence
}

// slow is the room's slow policy.
func (h *Hub) slow(name string) wire.SlowPolicy {
	if rule := h.ruleOf(name); rule != nil {
		return rule.Slow
	}
	return wire.SlowDisconnect
}

// keeps tells whether a room has history.
func (h *Hub) keeps(name string) bool {
	rule := h.ruleOf(name)
	return rule != nil && rule.Retention.Keeps()
}

func (h *Hub) ruleOf(name string) *policy.Room {
	if wire.Unnamed(name) {
		return nil
	}
	return h.rule(name)
}
