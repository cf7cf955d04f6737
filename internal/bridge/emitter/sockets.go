package emitter

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/moonx-farm/ws-gateway/internal/codec"
	"github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/session"
)

// joinsAtOnce bounds the joins of one request that wait for the broker.
const joinsAtOnce = 16

// root is the namespace of plain WebSocket clients.
const root = "/"

// SocketParts are what Sockets works with. It owns none of them.
type SocketParts struct {
	Hub    *hub.Hub
	Router *router.Router
	Rule   func(room string) *policy.Room // nil for an unknown room
	Pacer  hub.Pacer
}

// Sockets are the connections of this instance, plain ones and those of
// Socket.IO. Namespaces share rooms; who is meant in a room are the members
// that have it through the namespace. Make it with NewSockets. Safe for
// concurrent use.
type Sockets struct{ SocketParts }

var _ Local = (*Sockets)(nil)

// NewSockets makes Sockets.
func NewSockets(parts SocketParts) *Sockets { return &Sockets{parts} }

// Occupied implements Local. Members of any namespace count.
func (s *Sockets) Occupied(_, room string) bool {
	return s.Hub.Session(room) != nil || s.Hub.Occupancy(room) > 0
}

// Deliver implements Local. Rooms that nobody may publish to, by the policy,
// mean nobody.
func (s *Sockets) Deliver(ctx context.Context, to Aim, e Event) int {
	if len(to.Rooms) > 0 {
		if to.Rooms = s.open(to.Rooms); len(to.Rooms) == 0 {
			return 0
		}
	}
	n := 0
	var encoded encodings
	for _, to := range s.meant(to) {
		if to.SendFrames(encoded.of(to.Codec(), &e)) {
			n++
		}
	}
	_ = s.Pacer.Pace(ctx) // an error means shutdown
	return n
}

// open are the rooms that may be published to, and ids of connections.
func (s *Sockets) open(rooms []string) []string {
	var out []string
	for _, room := range rooms {
		rule := s.Rule(room)
		if rule != nil && rule.Publish != policy.Nobody || s.Hub.Session(room) != nil {
			out = append(out, room)
		}
	}
	return out
}

// meant are the sessions that are, each once.
func (s *Sockets) meant(a Aim) []*session.Session {
	c := choice{namespace: a.Namespace, seen: map[*session.Session]bool{}, several: len(a.Rooms) > 1}
	for _, room := range a.Except {
		for _, spared := range s.in(room) {
			c.seen[spared] = true
		}
	}
	if len(a.Rooms) == 0 {
		return c.from(s.Hub.Sessions())
	}
	var out []*session.Session
	for _, room := range a.Rooms {
		out = append(out, c.from(s.in(room))...)
	}
	return out
}

// in are the sessions in a room, or the one of that id, of any namespace.
func (s *Sockets) in(room string) []*session.Session {
	if one := s.Hub.Session(room); one != nil {
		return []*session.Session{one}
	}
	return s.Hub.Members(room)
}

// choice chooses whom a message means.
type choice struct {
	namespace string
	seen      map[*session.Session]bool // chosen already, or spared
	several   bool                      // a session may be offered again
}

// from keeps those of some sessions that are meant. It takes the slice over.
func (c *choice) from(all []*session.Session) []*session.Session {
	out := all[:0]
	for _, s := range all {
		if c.seen[s] || s.Identity() == nil || namespaceOf(s.Codec()) != c.namespace {
			continue
		}
		if c.several {
			c.seen[s] = true
		}
		out = append(out, s)
	}
	return out
}

func namespaceOf(c codec.Codec) string {
	if c, ok := c.(socketio.Codec); ok {
		return c.Namespace()
	}
	return root
}

// Join implements Local: as if they had joined by themselves from now on, and
// within what the policy lets a backend do.
func (s *Sockets) Join(ctx context.Context, who Aim, rooms []string) (int, error) {
	var (
		mu    sync.Mutex
		n     int
		fault error
	)
	var joins errgroup.Group
	joins.SetLimit(joinsAtOnce)
	for _, one := range s.meant(who) {
		joins.Go(func() error {
			members, err := s.joinOne(ctx, one, rooms)
			mu.Lock()
			defer mu.Unlock()
			n += members
			if err != nil {
				fault = err
			}
			return nil
		})
	}
	_ = joins.Wait() // none fails as a whole
	return n, fault
}

// joinOne makes one session a member of rooms, in their order.
func (s *Sockets) joinOne(ctx context.Context, one *session.Session, rooms []string) (n int, fault error) {
	for _, room := range rooms {
		members, err := s.Router.Subscribe(ctx, router.Target{Connection: one.ID()}, room)
		n += members
		if err != nil {
			fault = err
		}
	}
	return n, fault
}

// Leave implements Local. Users stay in their own rooms.
func (s *Sockets) Leave(who Aim, rooms []string) (n int, fault error) {
	for _, one := range s.meant(who) {
		for _, room := range rooms {
			left, err := s.Router.Unsubscribe(router.Target{Connection: one.ID()}, room)
			n += left
			if err != nil {
				fault = err
			}
		}
	}
	return n, fault
}

// Disconnect implements Local. The connection under a client's last socket ends
// with it, whether that is asked for or not; under others, it stays.
func (s *Sockets) Disconnect(who Aim, _ bool) int {
	n := 0
	for _, one := range s.meant(who) {
		if s.Router.Disconnect(one.ID()) {
			n++
		}
	}
	return n
}
