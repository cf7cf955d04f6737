package redisconn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// Watcher hears of what may have happened to data. Its methods are called on
// goroutines of the Manager, one at a time for each shard, and must not block.
type Watcher interface {
	// ReplicationChanged says that it is not certain any more that the shard
	// holds all that it acknowledged: another master answers for it, the same
	// one was started again, it was away for a while, or it took another
	// replication ID, as it also does harmlessly for its first replica.
	ReplicationChanged(s *Shard)
	// TopologyChanged says that slots of the cluster moved, or that masters
	// came or went. Shard tells where a tag is now.
	TopologyChanged()
}

// Errors of Shard and Ready. Their words are for everybody.
var (
	// ErrAway says that Redis does not answer.
	ErrAway    = errors.New("redis is away")
	errSchema  = errors.New("redis holds data of a newer version of the gateway")
	errRefused = errors.New("redis refuses the user or the password")
	errOld     = errors.New("redis is older than 7.0")
	errReplica = errors.New("redis is a replica and takes no writes")
	errNoInfo  = errors.New("redis forbids the command INFO, which the gateway needs")
)

// Manager holds the connections to Redis. Make it with New. Safe for
// concurrent use.
type Manager struct {
	cfg      Config // immutable
	log      *zap.Logger
	clients  *maker
	client   redis.UniversalClient
	watchers []Watcher   // immutable after Start
	slots    *slotKeeper // nil unless Redis is a cluster

	topology atomic.Pointer[topology]
	schema   schema
	counts   counters
	warned   atomic.Bool // of the eviction policy

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	started bool // guarded by mu
	closed  bool // guarded by mu
}

// New makes a manager of a Redis that is configured, without connecting. What
// is zero in cfg stands for its default.
func New(cfg Config, log *zap.Logger) (*Manager, error) {
	cfg = cfg.WithDefaults()
	if !cfg.Enabled() {
		return nil, errors.New("no Redis is configured")
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	mk, err := newMaker(cfg)
	if err != nil {
		return nil, err
	}
	m := &Manager{cfg: cfg, log: log, clients: mk, client: mk.ordinary()}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	if m.Clustered() {
		m.slots = newSlotKeeper(m)
		m.topology.Store(&topology{changed: make(chan struct{})})
	} else {
		m.topology.Store(wholeTopology(newShard("0", mk.master("", cfg.PoolSize), false)))
	}
	return m, nil
}

// Watch adds a watcher. Call it before Start.
func (m *Manager) Watch(w Watcher) { m.watchers = append(m.watchers, w) }

// Start begins to connect and to watch. It does not wait for Redis.
func (m *Manager) Start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.started || m.closed {
		return
	}
	m.started = true
	if m.slots != nil {
		m.wg.Go(m.slots.run)
		return
	}
	for _, s := range m.Shards() {
		m.wg.Go(func() { m.attend(m.ctx, s) })
	}
}

// Close closes all connections and waits for the Manager's goroutines.
// Commands under way fail. Calls after the first wait too, and do nothing.
func (m *Manager) Close() {
	m.mu.Lock()
	first := !m.closed
	m.closed = true
	started := m.started
	m.mu.Unlock()
	m.cancel()
	m.wg.Wait()
	if !first {
		return
	}
	_ = m.client.Close()
	if !started { // nobody else closes them
		for _, s := range m.Shards() {
			_ = s.client.Close()
		}
	}
}

// Client is for ordinary commands, which may be executed twice when an answer
// is lost: it tries once more after 50 ms.
func (m *Manager) Client() redis.UniversalClient { return m.client }

// Prefix begins every key and channel.
func (m *Manager) Prefix() string { return m.cfg.Prefix }

// CommandTimeout is how long an answer is waited for at most.
func (m *Manager) CommandTimeout() time.Duration { return m.cfg.CommandTimeout }

// Clustered tells whether Redis is a cluster, where messages to channels must
// be sharded.
func (m *Manager) Clustered() bool { return len(m.cfg.ClusterAddrs) > 0 }

// Shards are the masters known now; none before a cluster has answered.
func (m *Manager) Shards() []*Shard { return m.topology.Load().shards }

// Shard returns the one that holds all keys with the tag. It asks nobody when
// the slots are known, and waits for them when they are not, as long as for a
// command at most; then the error is ErrAway, or the context's.
func (m *Manager) Shard(ctx context.Context, tag string) (*Shard, error) {
	if m.schema.newer() {
		return nil, errSchema // what an older gateway writes there does harm
	}
	slot := slotOf(tag)
	t := m.topology.Load()
	if s := t.at(slot); s != nil {
		return s, nil
	}
	limit := time.NewTimer(m.cfg.CommandTimeout)
	defer limit.Stop()
	for {
		m.Refresh()
		select {
		case <-t.changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-limit.C:
			return nil, ErrAway
		case <-m.ctx.Done():
			return nil, ErrAway
		}
		t = m.topology.Load()
		if s := t.at(slot); s != nil {
			return s, nil
		}
	}
}

// Refresh says that what is known of Redis seems stale: a command was answered
// by MOVED or READONLY, or a connection was lost. It is looked at again soon.
func (m *Manager) Refresh() {
	if m.slots != nil {
		m.slots.poke()
	}
	for _, s := range m.Shards() {
		s.poke()
	}
}

// Ready returns why Redis cannot be used, in words for everybody; nil when
// every master answers now.
func (m *Manager) Ready(ctx context.Context) error {
	t := m.topology.Load()
	if m.schema.newer() {
		return errSchema
	}
	for _, s := range t.shards {
		if seen := s.seen.Load(); seen.fault != nil {
			return seen.fault
		}
	}
	if !t.whole || !m.schema.ours() {
		return ErrAway
	}
	for _, s := range t.shards {
		if !s.Up() {
			return ErrAway
		}
	}
	return m.ping(ctx, t.shards)
}

// ping asks all masters at once.
func (m *Manager) ping(ctx context.Context, shards []*Shard) error {
	var (
		wg   sync.WaitGroup
		lost atomic.Bool
	)
	for _, s := range shards {
		wg.Go(func() {
			if !s.answers(ctx) {
				lost.Store(true)
				s.poke()
			}
		})
	}
	wg.Wait()
	if lost.Load() {
		return ErrAway
	}
	return nil
}
