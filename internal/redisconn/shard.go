package redisconn

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Replication says which history of writes a master continues, and who follows
// it.
type Replication struct {
	// ID is master_replid. A promoted replica has another one than the master
	// it followed, and so has most often a server that was started again.
	ID string
	// RunID is run_id: another one at each start of the server.
	RunID string
	// Replicas are those connected and up to date.
	Replicas int
	// Known is false until the master has answered once.
	Known bool
}

// Shard is one master and what it answers for: everything, or some slots of a
// cluster. Safe for concurrent use.
type Shard struct {
	id     string        // immutable
	client *redis.Client // immutable; closed some time after the shard is gone
	late   bool          // immutable: came after the topology was first known

	wake  chan struct{} // of capacity 1: look now
	seen  atomic.Pointer[sight]
	probe atomic.Pointer[redis.Client] // replaced and closed by Manager.attend; nil before it
}

// sight is what the last look at a master found. Immutable.
type sight struct {
	up      bool
	fault   error // why not up, in words for everybody; nil: it does not answer
	repl    Replication
	latency time.Duration // of the look
	lost    time.Time     // zero while up
}

func newShard(id string, client *redis.Client, late bool) *Shard {
	s := &Shard{id: id, client: client, late: late, wake: make(chan struct{}, 1)}
	s.seen.Store(&sight{})
	return s
}

// ID names the shard: "0" when Redis is no cluster, else its master's address.
func (s *Shard) ID() string { return s.id }

// Client talks to the shard's master and repeats nothing. In a cluster it
// answers MOVED and ASK as errors.
func (s *Shard) Client() *redis.Client { return s.client }

// Replication is what the master last said, also while it is away.
func (s *Shard) Replication() Replication { return s.seen.Load().repl }

// Up tells whether the master answered when it was last looked at, which is
// about a second ago at most.
func (s *Shard) Up() bool { return s.seen.Load().up }

// poke asks for a look now; it never blocks.
func (s *Shard) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// answers tells whether the master answers now.
func (s *Shard) answers(ctx context.Context) bool {
	probe := s.probe.Load()
	return probe != nil && probe.Ping(ctx).Err() == nil
}
