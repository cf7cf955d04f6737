package redisbroker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/pubsub"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

const (
	dialTimeout  = 3 * time.Second
	dialFirst    = 25 * time.Millisecond // pause after a connection was lost
	dialMost     = 500 * time.Millisecond
	canaryEvery  = time.Second
	silentMost   = 3 * time.Second  // without a canary or an answer the connection is replaced,
	canaryMost   = 30 * time.Second // and without a canary, whatever is answered
	commandRooms = 512              // channels of one command
	gather       = 2 * time.Millisecond
)

// link is the subscription connection to one shard, one after the other, with
// the rooms that it brings. run owns it; it ends with its context.
type link struct {
	// Immutable.
	b      *Broker
	shard  *redisconn.Shard
	ctx    context.Context
	cancel context.CancelFunc
	canary string // its own channel

	away time.Time // owned by run: since when there is no connection; zero with one

	mu      sync.Mutex
	rooms   map[*room]uint64   // guarded by mu: and the number of the newest order to subscribe
	nr      uint64             // guarded by mu: of such orders
	orders  []order            // guarded by mu: what to tell the server; nothing while there is no session
	running bool               // guarded by mu: there is a session
	checks  map[*room]struct{} // guarded by mu: those whose position is to be verified
	calls   []call             // guarded by mu: who waits for a canary

	wake      chan struct{} // of capacity 1: there are orders
	checkWake chan struct{} // of capacity 1: there are checks
	probe     chan struct{} // of capacity 1: send a canary now

	sent     atomic.Uint64 // canaries
	canaryAt atomic.Int64  // Unix ns: when the latest came back, or the session began
	heardAt  atomic.Int64  // Unix ns: when a canary or an answer came last, or the session began
}

// call waits for a canary that was sent after it was made.
type call struct {
	nr   uint64 // at least
	done chan struct{}
}

// order is a room to subscribe to, or to leave.
type order struct {
	room    *room // nil: the canary
	channel string
	leave   bool
	nr      uint64 // of those to subscribe to a room
}

func newLink(b *Broker, shard *redisconn.Shard) *link {
	l := &link{
		b: b, shard: shard, rooms: make(map[*room]uint64), checks: make(map[*room]struct{}),
		canary: b.redis.Key("canary", fmt.Sprintf("%016x", rand.Uint64())), //nolint:gosec // a name
		wake:   make(chan struct{}, 1), checkWake: make(chan struct{}, 1), probe: make(chan struct{}, 1),
	}
	l.ctx, l.cancel = context.WithCancel(b.ctx)
	return l
}

// join subscribes to a room, or again to one that the server has refused or
// ended.
func (l *link) join(r *room) {
	l.mu.Lock()
	l.nr++
	l.rooms[r] = l.nr
	l.tell(r, false)
	ended := l.ctx.Err() != nil
	l.mu.Unlock()
	if ended { // its shard is gone since it was looked for
		l.b.seek()
	}
}

// newest tells whether nothing was ordered for a room after this subscription.
func (l *link) newest(r *room, nr uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rooms[r] == nr
}

// leave ends a room's subscription.
func (l *link) leave(r *room) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.rooms, r)
	delete(l.checks, r)
	l.tell(r, true)
}

// tell queues an order. Guarded by mu.
func (l *link) tell(r *room, leave bool) {
	if l.running {
		l.orders = append(l.orders, order{r, l.b.logs.Channel(r.name), leave, l.rooms[r]})
		poke(l.wake)
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// dismiss ends a link that brings nothing; false if it does.
func (l *link) dismiss() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rooms) > 0 {
		return false
	}
	l.cancel()
	return true
}

// run holds one connection after the other.
func (l *link) run() {
	var checking sync.WaitGroup
	defer checking.Wait()
	checking.Go(l.verifyForever)
	pause := dialFirst
	for {
		began := time.Now()
		err := l.connect()
		if l.ctx.Err() != nil {
			return
		}
		if time.Since(began) > silentMost {
			pause = dialFirst
		}
		l.lost(err)
		select {
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // spreads instances
		case <-l.ctx.Done():
			return
		}
		pause = min(2*pause, dialMost)
	}
}

// lost says once that there is no connection. Owned by run.
func (l *link) lost(err error) {
	l.b.count.reconnects.Add(1)
	l.b.redis.Refresh()
	if l.away.IsZero() {
		l.away = time.Now()
		l.b.log.Warn("the subscription connection to redis is lost", zap.String("shard", l.shard.ID()), zap.Error(err))
	}
}

// found says that there is one again. Owned by run.
func (l *link) found() {
	if !l.away.IsZero() {
		l.b.log.Info("the subscription connection to redis is back",
			zap.String("shard", l.shard.ID()), zap.Duration("after", time.Since(l.away)))
		l.away = time.Time{}
	}
}

// connect makes a connection and lives on it until it is lost.
func (l *link) connect() error {
	ctx, cancel := context.WithTimeout(l.ctx, dialTimeout)
	defer cancel()
	conn, err := pubsub.Dial(ctx, l.shard.Client().Options())
	if err != nil {
		return err
	}
	defer conn.Close()
	l.found()
	s := newSession(l, conn)
	l.begin()
	defer l.end()
	return s.live()
}

// begin orders all rooms' subscriptions anew.
func (l *link) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = true
	l.heard()
	l.orders = append(make([]order, 0, 1+len(l.rooms)), order{channel: l.canary})
	for r, nr := range l.rooms {
		l.orders = append(l.orders, order{r, l.b.logs.Channel(r.name), false, nr})
	}
	poke(l.wake)
}

// end says that no room of the link is live.
func (l *link) end() {
	l.mu.Lock()
	l.running, l.orders = false, nil
	rooms := l.snapshot()
	l.mu.Unlock()
	for _, r := range rooms {
		r.mu.Lock()
		if r.link == l {
			r.lose()
		}
		r.mu.Unlock()
	}
}

// snapshot returns the rooms. Guarded by mu.
func (l *link) snapshot() []*room {
	rooms := make([]*room, 0, len(l.rooms))
	for r := range l.rooms {
		rooms = append(rooms, r)
	}
	return rooms
}

// take returns the orders so far.
func (l *link) take() []order {
	l.mu.Lock()
	defer l.mu.Unlock()
	orders := l.orders
	l.orders = nil
	return orders
}

// answered takes a canary that has come back.
func (l *link) answered(nr uint64) {
	l.heard()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = slices.DeleteFunc(l.calls, func(c call) bool {
		if c.nr > nr {
			return false
		}
		close(c.done)
		return true
	})
}

// heard notes that a canary has come back, or that the session begins.
func (l *link) heard() {
	now := time.Now().UnixNano()
	l.canaryAt.Store(now)
	l.heardAt.Store(now)
}

// silent tells whether the connection must be given up. Where very much is to be
// subscribed or left, canaries come late behind the answers to that; to begin anew
// would be more of the same.
func (l *link) silent() bool {
	since := func(at *atomic.Int64) time.Duration { return time.Since(time.Unix(0, at.Load())) }
	return since(&l.heardAt) > silentMost || since(&l.canaryAt) > canaryMost
}

// hail returns a channel that is closed once a canary has come back that was
// sent after this: and with it all that was published before.
func (l *link) hail() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := call{l.sent.Load() + 1, make(chan struct{})}
	l.calls = append(l.calls, c)
	poke(l.probe)
	return c.done
}
