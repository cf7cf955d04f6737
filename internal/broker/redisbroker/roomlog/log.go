package roomlog

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Log is the logs of all rooms. Make it with New. Safe for concurrent use.
type Log struct {
	// Immutable after New.
	redis   *redisconn.Manager
	cfg     Config
	log     *zap.Logger
	scripts scripts
	tell    string // the command that sends to a channel

	counts counters

	mu     sync.Mutex
	lanes  map[*redisconn.Shard]*[purposes]*lane // guarded by mu
	closed bool                                  // guarded by mu
	wg     sync.WaitGroup                        // senders; added to under mu
	said   time.Time                             // guarded by mu: when a fault was last logged
}

// New makes the logs that a manager's Redis keeps. The caller shuts them down
// before it closes the manager.
func New(manager *redisconn.Manager, cfg Config, log *zap.Logger) *Log {
	l := &Log{
		redis: manager, cfg: cfg.withDefaults(), log: log, scripts: newScripts(), tell: "PUBLISH",
		lanes: make(map[*redisconn.Shard]*[purposes]*lane),
	}
	if manager.Clustered() {
		l.tell = "SPUBLISH"
	}
	return l
}

// Shutdown refuses requests from now on and waits for those under way. It
// returns the context's error if that ends earlier; they then end within their
// time limits.
func (l *Log) Shutdown(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	ended := make(chan struct{})
	go func() { // ends with the last sender
		l.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// spawn runs a sender, unless Shutdown was called.
func (l *Log) spawn(sender func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.wg.Go(sender)
	return true
}

// lane returns the lane of a shard for a purpose; nil after Shutdown.
func (l *Log) lane(shard *redisconn.Shard, p purpose) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	lanes := l.lanes[shard]
	if lanes == nil {
		l.prune()
		lanes = new([purposes]*lane)
		for p := range purposes {
			lanes[p] = &lane{log: l, shard: shard, purpose: p}
		}
		l.lanes[shard] = lanes
	}
	return lanes[p]
}

// prune forgets the lanes of shards that are gone. Guarded by mu.
func (l *Log) prune() {
	live := make(map[*redisconn.Shard]bool)
	for _, s := range l.redis.Shards() {
		live[s] = true
	}
	for s, lanes := range l.lanes {
		if !live[s] && lanes[publishing].idle() && lanes[reading].idle() && lanes[replicating].idle() {
			delete(l.lanes, s)
		}
	}
}

// Channel is the name of a room's channel.
func (l *Log) Channel(room string) string { return l.redis.Key("c", room) }

func (l *Log) metaKey(room string) string { return l.redis.Key("m", room) }
func (l *Log) logKey(room string) string  { return l.redis.Key("l", room) }

// checkRoom refuses a publication or read without a room.
func checkRoom(room string) error {
	if room == "" {
		return wire.NewError(wire.InvalidMessage, "a publication needs a room")
	}
	return nil
}
