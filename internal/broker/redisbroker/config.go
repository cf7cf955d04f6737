package redisbroker

import (
	"errors"
	"fmt"

	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
)

// Config holds the settings of the broker on Redis. Those that every broker has
// are read from the environment once, by the embedded broker's Config.
type Config struct {
	// Log is what keeps the rooms' logs. Its IdempotencyTTL is how long a
	// publish can be repeated under its key.
	Log roomlog.Config
	// HandoffBytes bounds what waits between the broker and its sink for one
	// room; publishers on this instance wait beyond it. At twice as much the
	// room is read from its log again once there is space; rooms without
	// history get a gap.
	HandoffBytes int
	// HandoffTotal is HandoffBytes for all rooms together.
	HandoffTotal int64
	// Batch is how many publications of a room one call of the sink takes at
	// most.
	Batch int
}

const (
	batchSize    = 64
	maxBatch     = 4096
	handoffBytes = 1 << 20
	handoffTotal = 256 << 20
)

// withDefaults fills in what is zero or negative.
func (c Config) withDefaults() Config {
	if c.HandoffBytes <= 0 {
		c.HandoffBytes = handoffBytes
	}
	if c.HandoffTotal <= 0 {
		c.HandoffTotal = handoffTotal
	}
	c.HandoffTotal = max(c.HandoffTotal, int64(c.HandoffBytes))
	if c.Batch <= 0 {
		c.Batch = batchSize
	}
	return c
}

// Validate names what is wrong with the settings, all of it; zero values stand
// for the defaults.
func (c Config) Validate() error {
	c = c.withDefaults()
	faults := []error{c.Log.Validate()}
	if c.HandoffBytes < 1<<10 {
		faults = append(faults, fmt.Errorf("BROKER_HANDOFF_BYTES %d: want at least 1024", c.HandoffBytes))
	}
	if c.Batch > maxBatch {
		faults = append(faults, fmt.Errorf("BROKER_BATCH %d: want 1 to %d", c.Batch, maxBatch))
	}
	return errors.Join(faults...)
}
