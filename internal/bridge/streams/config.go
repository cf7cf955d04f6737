package streams

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Off as the name of the command stream means that none is read.
const Off = "off"

// Config holds the settings of the command stream.
type Config struct {
	// Name is what the stream's key ends with, behind the prefix of all keys;
	// off: commands are not read.
	Name string `env:"COMMAND_STREAM" envDefault:"commands"`
	// Lease is how long it takes until another instance reads when the one that
	// does has vanished.
	Lease time.Duration `env:"COMMAND_LEASE" envDefault:"5s"`
	// RetryFor is how long a command that cannot be executed for the moment is
	// tried, before it is moved to the dead letters; 0: without end. It should
	// be less than idempotency keys are kept.
	RetryFor time.Duration `env:"COMMAND_RETRY_FOR" envDefault:"2m"`
	// DeadLength is about how many dead letters are kept.
	DeadLength int `env:"COMMAND_DEAD_LENGTH" envDefault:"10000"`

	// MaxData is the longest data of one publication in bytes; 0: no bound. It
	// is no setting of its own.
	MaxData int
	// Instance is this instance's name, which the lease carries; no setting.
	Instance string
}

const (
	nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
	maxName   = 64
	minLease  = time.Second
	maxLease  = time.Minute
	maxDead   = 10_000_000
)

// Validate names what is wrong with the settings.
func (c Config) Validate() error {
	var faults []error
	if c.Name == "" || len(c.Name) > maxName || strings.Trim(c.Name, nameBytes) != "" {
		faults = append(faults, fmt.Errorf("COMMAND_STREAM %q: want 1 to %d of [A-Za-z0-9_.-], or %s", c.Name, maxName, Off))
	}
	if c.Lease < minLease || c.Lease > maxLease {
		faults = append(faults, fmt.Errorf("COMMAND_LEASE %v: want %v to %v", c.Lease, minLease, maxLease))
	}
	if c.RetryFor < 0 {
		faults = append(faults, fmt.Errorf("COMMAND_RETRY_FOR %v: want 0 or more", c.RetryFor))
	}
	if c.DeadLength < 1 || c.DeadLength > maxDead {
		faults = append(faults, fmt.Errorf("COMMAND_DEAD_LENGTH %d: want 1 to %d", c.DeadLength, maxDead))
	}
	return errors.Join(faults...)
}
