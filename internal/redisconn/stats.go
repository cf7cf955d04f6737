package redisconn

import (
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// counters count what happened since New.
type counters struct {
	losses, reconnects, replications, topologies atomic.Uint64
}

// Stats are for metrics.
type Stats struct {
	Shards, Up int // masters known, and those that answer
	// Losses counts how often a master was found away, Reconnects how often the
	// connection that looks at it was cut and made again, ReplicationChanges
	// and TopologyChanges what watchers were told.
	Losses, Reconnects, ReplicationChanges, TopologyChanges uint64
	// Latency is that of the last look at the slowest master.
	Latency time.Duration
	// Replicas are those connected to the master that has fewest.
	Replicas int
	// Connections are those to masters for commands; Idle of them wait.
	Connections, Idle int
	// PoolTimeouts counts commands that found no connection in time.
	PoolTimeouts uint64
}

// Stats adds up what is known of all shards.
func (m *Manager) Stats() Stats {
	out := Stats{
		Losses: m.counts.losses.Load(), Reconnects: m.counts.reconnects.Load(),
		ReplicationChanges: m.counts.replications.Load(), TopologyChanges: m.counts.topologies.Load(),
	}
	pools := []interface{ PoolStats() *redis.PoolStats }{m.client}
	for i, s := range m.Shards() {
		seen := s.seen.Load()
		out.Shards++
		if seen.up {
			out.Up++
		}
		out.Latency = max(out.Latency, seen.latency)
		if i == 0 || seen.repl.Replicas < out.Replicas {
			out.Replicas = seen.repl.Replicas
		}
		pools = append(pools, s.client)
	}
	for _, pool := range pools {
		p := pool.PoolStats()
		out.Connections += int(p.TotalConns)
		out.Idle += int(p.IdleConns)
		out.PoolTimeouts += uint64(p.Timeouts)
	}
	return out
}
