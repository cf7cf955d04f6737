package membroker

import (
	"errors"
	"fmt"
	"time"
)

// Config holds the settings of the embedded broker.
type Config struct {
	// IdempotencyTTL is how long a publish can be repeated under its key.
	IdempotencyTTL time.Duration `env:"IDEMPOTENCY_TTL" envDefault:"5m"`
	// MemoryBytes bounds, for the whole process, what history, metadata and
	// idempotency keys may take together. Over it the least recently used
	// history is evicted, which ends that room's epoch.
	MemoryBytes int64 `env:"BROKER_MEMORY_BYTES" envDefault:"1073741824"`
	// HandoffBytes bounds what waits between the broker and its sink for one
	// room; publishers wait beyond it.
	HandoffBytes int `env:"BROKER_HANDOFF_BYTES" envDefault:"1048576"`
	// Batch is how many publications of a room one call of the sink takes at
	// most.
	Batch int `env:"BROKER_BATCH" envDefault:"64"`
}

// batchSize is the default of Config.Batch, maxBatch its bound.
const (
	batchSize = 64
	maxBatch  = 4096
)

// withDefaults fills in what is zero or negative.
func (c Config) withDefaults() Config {
	if c.IdempotencyTTL <= 0 {
		c.IdempotencyTTL = 5 * time.Minute
	}
	if c.MemoryBytes <= 0 {
		c.MemoryBytes = 1 << 30
	}
	if c.HandoffBytes <= 0 {
		c.HandoffBytes = 1 << 20
	}
	if c.Batch <= 0 {
		c.Batch = batchSize
	}
	return c
}

// Validate names what is wrong with the settings, all of it; zero values stand
// for the defaults.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	if c.IdempotencyTTL < time.Second || c.IdempotencyTTL > 24*time.Hour {
		faults = append(faults, fmt.Errorf("IDEMPOTENCY_TTL %v: want 1s to 24h", c.IdempotencyTTL))
	}
	if c.MemoryBytes < 1<<20 {
		faults = append(faults, fmt.Errorf("BROKER_MEMORY_BYTES %d: want at least 1048576", c.MemoryBytes))
	}
	if c.HandoffBytes < 1<<10 {
		faults = append(faults, fmt.Errorf("BROKER_HANDOFF_BYTES %d: want at least 1024", c.HandoffBytes))
	}
	if c.Batch > maxBatch {
		faults = append(faults, fmt.Errorf("BROKER_BATCH %d: want 1 to %d", c.Batch, maxBatch))
	}
	return errors.Join(faults...)
}
