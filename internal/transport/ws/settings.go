package ws

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// budgetShare is the share of the memory that the budget of all queues takes.
const budgetShare = 8

// defaultBudget is the budget where the memory is not known.
const defaultBudget = 256 << 20

// Bounds that follow from Config.MaxMessageBytes.
const (
	maxMessageBytes = 1 << 30
	deflateSlack    = 1 << 10 // compressed bytes a message may have beyond its limit
	minFragments    = 256
	fragmentBytes   = 16 // a message may come in fragments of this size
)

// Validate checks the settings; zero values stand for the defaults. All faults
// are in the one error.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	switch c.Mode {
	case ModeAuto, ModeParked, ModeGoroutine:
	default:
		errs = append(errs, fmt.Errorf("TRANSPORT %q: want auto, parked or goroutine", c.Mode))
	}
	if c.MaxMessageBytes < 1 || c.MaxMessageBytes > maxMessageBytes {
		errs = append(errs, fmt.Errorf("MAX_MESSAGE_BYTES %d: want 1 to %d", c.MaxMessageBytes, maxMessageBytes))
	}
	if c.SendQueueBytes < 1 {
		errs = append(errs, fmt.Errorf("SEND_QUEUE_BYTES %d: want at least 1", c.SendQueueBytes))
	}
	if c.SendBudgetBytes < int64(c.SendQueueBytes) {
		errs = append(errs, fmt.Errorf("SEND_BUDGET_BYTES %d: want at least SEND_QUEUE_BYTES, %d", c.SendBudgetBytes, c.SendQueueBytes))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"HEARTBEAT_INTERVAL", c.HeartbeatInterval}, {"HEARTBEAT_TIMEOUT", c.HeartbeatTimeout},
		{"MESSAGE_TIMEOUT", c.MessageTimeout}, {"WRITE_TIMEOUT", c.WriteTimeout}, {"CLOSE_TIMEOUT", c.CloseTimeout},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s %v: want a positive duration", d.name, d.value))
		}
	}
	return errors.Join(errs...)
}

// Within returns the settings for a process with so many bytes of memory (0:
// unknown), on which the budget of all queues depends if it is not set.
func (c Config) Within(memory int64) Config {
	if c.SendBudgetBytes == 0 && memory > 0 {
		c.SendBudgetBytes = max(memory/budgetShare, int64(c.withDefaults().SendQueueBytes))
	}
	return c
}

// withDefaults replaces zero values by the defaults of the env tags.
func (c Config) withDefaults() Config {
	c.Mode = cmp.Or(c.Mode, ModeAuto)
	c.MaxMessageBytes = cmp.Or(c.MaxMessageBytes, 64<<10)
	c.SendQueueBytes = cmp.Or(c.SendQueueBytes, 1<<20)
	c.SendBudgetBytes = cmp.Or(c.SendBudgetBytes, max(defaultBudget, int64(c.SendQueueBytes)))
	c.HeartbeatInterval = cmp.Or(c.HeartbeatInterval, 25*time.Second)
	c.HeartbeatTimeout = cmp.Or(c.HeartbeatTimeout, 20*time.Second)
	c.MessageTimeout = cmp.Or(c.MessageTimeout, 15*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 30*time.Second)
	c.CloseTimeout = cmp.Or(c.CloseTimeout, 5*time.Second)
	return c
}

// limits are the framer's bounds for an uncompressed connection.
func (c Config) limits() limits {
	return limits{
		payload:   c.MaxMessageBytes,
		deflated:  c.MaxMessageBytes + deflateSlack,
		fragments: minFragments + c.MaxMessageBytes/fragmentBytes,
	}
}
