package hub

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const shardCount = 64

// Config holds the bounds of the hub.
type Config struct {
	// MaxRooms bounds the seats of one session.
	MaxRooms int
	// MaxNamedRooms bounds the rooms on this instance but for those of users,
	// which their connections bound; 0: any number.
	MaxNamedRooms int
	// CatchUpBytes bounds what one join may bring at once; a member that
	// missed more starts from the room's present position.
	CatchUpBytes int
}

// Pacer slows publishers down to what the connections' writers can take off.
type Pacer interface {
	// Pace waits while the writers lag, never for a slow peer.
	Pace(ctx context.Context) error
}

// Hub is the register of sessions and rooms. Make it with New. Safe for
// concurrent use.
type Hub struct {
	// Immutable after New.
	cfg    Config
	broker broker.Broker
	rule   func(room string) *policy.Room
	pacer  Pacer
	wheel  *wheel.Wheel
	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc
	seed   maphash.Seed

	watcher Watcher          // set before the first session; nil without one
	fleet   Fleet            // set before the first session; nil on a single instance
	monitor *monitor.Monitor // set before the first session; nil without one

	rooms    [shardCount]roomShard
	sessions [shardCount]sessionShard

	count       atomic.Int64 // sessions
	roomCount   atomic.Int64
	named       atomic.Int64 // of them, those that MaxNamedRooms bounds
	delivered   atomic.Int64 // publications times members
	gaps        atomic.Int64
	recovered   atomic.Int64
	refusals    atomic.Int64 // joins whose position could not be honoured
	restarts    atomic.Int64 // joins that read the log again
	memberships atomic.Int64
}

type sessionShard struct {
	mu   sync.RWMutex
	byID map[string]*session.Session // guarded by mu
	_    [32]byte
}

type roomShard struct {
	mu     sync.RWMutex
	byName map[string]*room // guarded by mu
	_      [32]byte
}

var (
	_ broker.Sink    = (*Hub)(nil)
	_ broker.Noticed = (*Hub)(nil)
)

// New makes a hub. rule returns a room's policy, nil for an unknown room.
func New(cfg Config, b broker.Broker, rule func(string) *policy.Room, p Pacer, w *wheel.Wheel) *Hub {
	h := &Hub{cfg: cfg, broker: b, rule: rule, pacer: p, wheel: w, seed: maphash.MakeSeed()}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	for i := range shardCount {
		h.rooms[i].byName = map[string]*room{}
		h.sessions[i].byID = map[string]*session.Session{}
	}
	return h
}

// UseMonitor says what measures deliveries and joins. Call it before the first
// session is added.
func (h *Hub) UseMonitor(m *monitor.Monitor) { h.monitor = m }

// Shutdown lets calls return that wait for the pacer, or to unsubscribe. Joins
// end with their contexts.
func (h *Hub) Shutdown() { h.cancel() }

// Add registers a session, which Remove takes out again. Safe for concurrent
// use.
func (h *Hub) Add(s *session.Session) {
	sh := &h.sessions[h.shard(s.ID())]
	sh.mu.Lock()
	sh.byID[s.ID()] = s
	sh.mu.Unlock()
	h.count.Add(1)
}

// Remove gives up everything a session has. It is part of the session's own
// close path.
func (h *Hub) Remove(s *session.Session) {
	for _, it := range s.Leave() {
		if st, ok := it.(*seat); ok {
			h.stand(st, true)
		}
	}
	sh := &h.sessions[h.shard(s.ID())]
	sh.mu.Lock()
	_, known := sh.byID[s.ID()]
	delete(sh.byID, s.ID())
	sh.mu.Unlock()
	if known {
		h.count.Add(-1)
	}
}

// Session returns the session of a connection id, nil without one.
func (h *Hub) Session(id string) *session.Session {
	sh := &h.sessions[h.shard(id)]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.byID[id]
}

// Count is the number of sessions.
func (h *Hub) Count() int { return int(h.count.Load()) }

// Sessions returns all sessions, in no order.
func (h *Hub) Sessions() []*session.Session {
	all := make([]*session.Session, 0, h.Count())
	for i := range h.sessions {
		sh := &h.sessions[i]
		sh.mu.RLock()
		for _, s := range sh.byID {
			all = append(all, s)
		}
		sh.mu.RUnlock()
	}
	return all
}

// Members returns the sessions in a room, in no order.
func (h *Hub) Members(name string) []*session.Session {
	r := h.find(name)
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*session.Session, len(r.members))
	for i, st := range r.members {
		out[i] = st.sess
	}
	return out
}

// Connections returns the sessions of a user, in no order.
func (h *Hub) Connections(userID string) []*session.Session { return h.Members(wire.UserRoom(userID)) }

// Seated reports whether a session is in a room.
func (h *Hub) Seated(s *session.Session, name string) bool { return s.SeatIn(name) != nil }

// Stats is a snapshot of the hub.
type Stats struct {
	Sessions, Rooms, Memberships          int64 // now
	Delivered, Gaps                       int64 // since the start
	Recovered, RecoveryRefused, JoinRetry int64
}

// Stats returns the counters. It is cheap.
func (h *Hub) Stats() Stats {
	return Stats{
		Sessions: h.count.Load(), Rooms: h.roomCount.Load(), Memberships: h.memberships.Load(),
		Delivered: h.delivered.Load(), Gaps: h.gaps.Load(),
		Recovered: h.recovered.Load(), RecoveryRefused: h.refusals.Load(), JoinRetry: h.restarts.Load(),
	}
}

func (h *Hub) shard(key string) uint64 { return maphash.String(h.seed, key) % shardCount }

func (h *Hub) find(name string) *room {
	sh := &h.rooms[h.shard(name)]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.byName[name]
}
