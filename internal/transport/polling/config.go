package polling

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/engineio"
)

// Config holds the settings of Engine.IO sessions.
type Config struct {
	// PingInterval is the time from a client's pong to the next ping.
	PingInterval time.Duration `env:"ENGINE_PING_INTERVAL" envDefault:"25s"`
	// PingTimeout is how long the answer to a ping may take.
	PingTimeout time.Duration `env:"ENGINE_PING_TIMEOUT" envDefault:"20s"`
	// UpgradeTimeout bounds the move of a polling session to a WebSocket.
	UpgradeTimeout time.Duration `env:"ENGINE_UPGRADE_TIMEOUT" envDefault:"10s"`
	// MaxSessions bounds the sessions that poll. One takes about 25 KB while
	// its poll waits.
	MaxSessions int `env:"POLLING_MAX_SESSIONS" envDefault:"10000"`
	// MemoryBytes bounds what is queued for and received from all polling
	// sessions together; beyond it the largest is cut first. A frame that is
	// shared counts for each receiver.
	MemoryBytes int64 `env:"POLLING_MEMORY_BYTES" envDefault:"67108864"`

	// Settings of the WebSocket transport, which hold here too.
	MaxPayload     int           // MAX_MESSAGE_BYTES, of a POST's body
	SendQueueBytes int           // SEND_QUEUE_BYTES, beyond it a session is too slow
	MessageTimeout time.Duration // MESSAGE_TIMEOUT, of a POST's body
	WriteTimeout   time.Duration // WRITE_TIMEOUT, of a GET's answer
	CloseTimeout   time.Duration // CLOSE_TIMEOUT, for the poll that takes the close packet

	// Instance names this process in the session ids that it gives, so that
	// another instance can pass a request on (see Owner): up to 64 of
	// [A-Za-z0-9_-]. Empty: ids name nobody.
	Instance string
}

// Bounds of the settings.
const (
	leastPing   = 100 * time.Millisecond
	mostPing    = 24 * time.Hour
	maxInstance = 64
)

// Validate checks the settings; zero values stand for the defaults. All faults
// are in the one error.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"ENGINE_PING_INTERVAL", c.PingInterval}, {"ENGINE_PING_TIMEOUT", c.PingTimeout}, {"ENGINE_UPGRADE_TIMEOUT", c.UpgradeTimeout},
	} {
		if d.value < leastPing || d.value > mostPing || d.value%time.Millisecond != 0 {
			errs = append(errs, fmt.Errorf("%s %v: want %v to %v in whole milliseconds", d.name, d.value, leastPing, mostPing))
		}
	}
	if c.MaxSessions < 1 {
		errs = append(errs, fmt.Errorf("POLLING_MAX_SESSIONS %d: want at least 1", c.MaxSessions))
	}
	if least := int64(max(c.SendQueueBytes, c.MaxPayload)); c.MemoryBytes < least {
		errs = append(errs, fmt.Errorf("POLLING_MEMORY_BYTES %d: want at least SEND_QUEUE_BYTES and MAX_MESSAGE_BYTES, %d", c.MemoryBytes, least))
	}
	if len(c.Instance) > maxInstance || strings.Trim(c.Instance, idLetters) != "" {
		errs = append(errs, fmt.Errorf("the instance's name %q: want up to %d of [A-Za-z0-9_-]", c.Instance, maxInstance))
	}
	return errors.Join(errs...)
}

// withDefaults replaces zero values by the defaults of the env tags, and of
// the WebSocket transport's.
func (c Config) withDefaults() Config {
	l := engineio.DefaultLimits()
	c.PingInterval = cmp.Or(c.PingInterval, l.PingInterval)
	c.PingTimeout = cmp.Or(c.PingTimeout, l.PingTimeout)
	c.UpgradeTimeout = cmp.Or(c.UpgradeTimeout, l.UpgradeTimeout)
	c.MaxSessions = cmp.Or(c.MaxSessions, 10_000)
	c.MemoryBytes = cmp.Or(c.MemoryBytes, 64<<20)
	c.MaxPayload = cmp.Or(c.MaxPayload, 64<<10)
	c.SendQueueBytes = cmp.Or(c.SendQueueBytes, 1<<20)
	c.MessageTimeout = cmp.Or(c.MessageTimeout, 15*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 30*time.Second)
	c.CloseTimeout = cmp.Or(c.CloseTimeout, 5*time.Second)
	return c
}

// limits are what a session's open packet tells.
func (c Config) limits() engineio.Limits {
	return engineio.Limits{
		PingInterval: c.PingInterval, PingTimeout: c.PingTimeout, UpgradeTimeout: c.UpgradeTimeout, MaxPayload: c.MaxPayload,
	}
}
