package roomlog

import (
	"errors"
	"fmt"
	"time"
)

// Config holds the settings of the rooms' logs in Redis.
type Config struct {
	// IdempotencyTTL is how long a publish can be repeated under its key. The
	// broker that is configured says it for all.
	IdempotencyTTL time.Duration
	// Replicas is how many replicas must have what a room with replicated
	// durability acknowledges: all that may ever be promoted.
	Replicas int `env:"REDIS_WAIT_REPLICAS" envDefault:"1"`
	// WaitTimeout is how long a publish waits for them, at most half of the
	// time limit of a command (REDIS_COMMAND_TIMEOUT).
	WaitTimeout time.Duration `env:"REDIS_WAIT_TIMEOUT" envDefault:"1s"`
	// Connections is how many pipelines of publishes are under way to one
	// shard at once. Reads, and publishes that wait for replicas, have as many
	// of their own.
	Connections int `env:"REDIS_PUBLISH_CONNECTIONS" envDefault:"2"`
	// Batch is how many commands one pipeline takes at most.
	Batch int `env:"REDIS_PUBLISH_BATCH" envDefault:"256"`
}

// withDefaults fills in what is zero or negative.
func (c Config) withDefaults() Config {
	if c.IdempotencyTTL <= 0 {
		c.IdempotencyTTL = 5 * time.Minute
	}
	if c.Replicas <= 0 {
		c.Replicas = 1
	}
	if c.WaitTimeout <= 0 {
		c.WaitTimeout = time.Second
	}
	if c.Connections <= 0 {
		c.Connections = 2
	}
	if c.Batch <= 0 {
		c.Batch = 256
	}
	return c
}

// Validate names what is wrong with the settings, all of it; zero values stand
// for the defaults.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	if c.Replicas > 16 {
		faults = append(faults, fmt.Errorf("REDIS_WAIT_REPLICAS %d: want 1 to 16", c.Replicas))
	}
	if c.WaitTimeout < time.Millisecond || c.WaitTimeout > time.Minute {
		faults = append(faults, fmt.Errorf("REDIS_WAIT_TIMEOUT %v: want 1ms to 1m", c.WaitTimeout))
	}
	if c.Connections > 64 {
		faults = append(faults, fmt.Errorf("REDIS_PUBLISH_CONNECTIONS %d: want 1 to 64", c.Connections))
	}
	if c.Batch > 4096 {
		faults = append(faults, fmt.Errorf("REDIS_PUBLISH_BATCH %d: want 1 to 4096", c.Batch))
	}
	return errors.Join(faults...)
}
