package redisbroker

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker/handoff"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// room is what the broker holds of one room that is subscribed, or that has
// something waiting for the Sink.
type room struct {
	// Immutable.
	b    *Broker
	name string

	mu sync.Mutex

	// Subscription. Guarded by mu.
	gone   bool          // no longer in the registry: another room has the name
	wanted bool          // between Subscribe and Unsubscribe
	link   *link         // whose connection brings it; nil for a local room
	live   bool          // the server has confirmed, and nothing was lost since
	said   chan struct{} // closed when live; another one after a loss
	feeds  uint64        // how often live changed
	astray bool          // its server said that it is elsewhere, and was not asked again
	active bool          // something came since the idle were looked at

	// Position. Guarded by mu.
	cursor  cursor
	behind  bool          // its log is being read; what comes is stashed
	parked  bool          // and goes on being read once the hand-off has space
	urgent  bool          // somebody waits to know which epoch it is
	stash   []arrival     // what came while behind
	stashed int64         // its cost
	seen    int           // how many of stash came before the read under way began
	unkept  int           // how many of stash are in no log
	missed  bool          // something of stash was dropped: read again
	lost    bool          // and some of it is in no log
	hint    wire.Position // where the newest epoch began; zero if unknown
	page    int           // entries of the next page; 0: not known yet
	tries   int           // reads in a row that did not help
	decided chan struct{} // closed when a read has; nil if nobody waits

	// Hand-off. Guarded by mu.
	queue     handoff.Ring[item]
	pending   int64         // cost of what is queued or under delivery
	scheduled bool          // on the run queue or with a worker
	held      bool          // waits for a durable publish at the head of queue
	space     chan struct{} // closed when there is space again; nil without waiters
	marks     []*countdown  // of Quiesce, queued when the room is not behind any more
}

// arrival is a publication as it came from its channel.
type arrival struct {
	pub  *wire.Publication // nil once it was handed on
	prev uint64            // nonce of the entry before
}

// shardCount is into how many parts the registry of rooms is cut.
const shardCount = 64

// registry is a part of the rooms, by name.
type registry struct {
	mu    sync.Mutex
	rooms map[string]*room // guarded by mu
}

// part returns the registry that has a room.
func (b *Broker) part(name string) *registry {
	return &b.parts[maphash.String(b.seed, name)%shardCount]
}

// find returns a room, nil if the broker holds none of that name.
func (b *Broker) find(name string) *room {
	p := b.part(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rooms[name]
}

// arrived is find for a name as it came.
func (b *Broker) arrived(name []byte) *room {
	p := &b.parts[maphash.Bytes(b.seed, name)%shardCount]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rooms[string(name)]
}

// hold returns a room with its lock held, made if need be.
func (b *Broker) hold(name string) *room {
	p := b.part(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.rooms[name]
	if r == nil {
		r = &room{b: b, name: name, said: make(chan struct{})}
		p.rooms[name] = r
	}
	r.mu.Lock()
	return r
}

// all returns the rooms there are, in no order.
func (b *Broker) all() []*room {
	var rooms []*room
	for i := range b.parts {
		p := &b.parts[i]
		p.mu.Lock()
		for _, r := range p.rooms {
			rooms = append(rooms, r)
		}
		p.mu.Unlock()
	}
	return rooms
}

// linger is how long a subscription outlives its Unsubscribe: members who come
// and go cost Redis nothing.
const linger = 100 * time.Millisecond

// retire forgets a room that nobody wants, once nothing of it is under way.
func (b *Broker) retire(r *room) {
	p := b.part(r.name)
	p.mu.Lock()
	defer p.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone || r.wanted {
		return
	}
	if r.pending > 0 {
		// Another room of that name would be delivered beside this one.
		if r.link != nil {
			b.later.after(linger, func() { b.retire(r) })
		}
		return
	}
	r.gone = true
	delete(p.rooms, r.name)
	if r.link != nil {
		r.link.leave(r)
	}
	r.unstash()
	r.decide()
	r.release()
	for _, m := range r.marks {
		m.done() // nothing of it will be handed over
	}
	r.marks = nil
}
