package gateway

import (
	"errors"
	"fmt"
	"time"
)

// Config holds the settings of admission and drain.
type Config struct {
	// MaxConnections is the wished bound; the effective one is clamped to
	// descriptors and memory.
	MaxConnections int `env:"MAX_CONNECTIONS" envDefault:"1000000"`
	// SecurityLevel is minimal, standard or strict.
	SecurityLevel string `env:"SECURITY_LEVEL" envDefault:"minimal"`
	// AllowedOrigins lists browser origins with scheme and port; a wildcard is
	// one or more whole leftmost labels ("https://*.example.com"). Empty: only
	// loopback to loopback, or the very IP literal the request names as Host.
	AllowedOrigins []string `env:"ALLOWED_ORIGINS" envSeparator:","`
	// AuthDeadline bounds the wait for a credential.
	AuthDeadline time.Duration `env:"AUTH_DEADLINE" envDefault:"10s"`
	// DrainDelay is the time between "not ready" and the first reconnect hint.
	DrainDelay time.Duration `env:"DRAIN_DELAY" envDefault:"0s"`
	// DrainWindow is the time over which connections are told to reconnect.
	DrainWindow time.Duration `env:"DRAIN_WINDOW" envDefault:"20s"`
}

// Validate names what is wrong with the settings, all of it.
func (c Config) Validate() error {
	var faults []error
	if _, ok := LevelOf(c.SecurityLevel); !ok {
		faults = append(faults, fmt.Errorf("SECURITY_LEVEL %q: want minimal, standard or strict", c.SecurityLevel))
	}
	if c.MaxConnections < 1 {
		faults = append(faults, fmt.Errorf("MAX_CONNECTIONS %d: want at least 1", c.MaxConnections))
	}
	for _, entry := range c.AllowedOrigins {
		if _, err := parseOrigin(entry); err != nil {
			faults = append(faults, fmt.Errorf("ALLOWED_ORIGINS %q: %w", entry, err))
		}
	}
	for _, d := range []struct {
		name       string
		value, min time.Duration
	}{
		{"AUTH_DEADLINE", c.AuthDeadline, time.Second},
		{"DRAIN_DELAY", c.DrainDelay, 0},
		{"DRAIN_WINDOW", c.DrainWindow, 0},
	} {
		if d.value < d.min || d.value > time.Hour {
			faults = append(faults, fmt.Errorf("%s %v: want %v to 1h", d.name, d.value, d.min))
		}
	}
	return errors.Join(faults...)
}

// Level is what a SECURITY_LEVEL means for admission. What it means for rooms
// stands in the embedded policy of its name.
type Level struct {
	Guests         bool // who presents no credential is a guest
	QueryToken     bool // ?token= is taken
	OwnOrigins     bool // loopback to loopback and IP literals pass unlisted
	OriginRequired bool // a request without Origin is refused
	TLSRequired    bool // plain HTTP is refused
}

// LevelOf is the one table of security levels; false for an unknown name.
func LevelOf(name string) (Level, bool) {
	switch name {
	case "minimal":
		return Level{Guests: true, QueryToken: true, OwnOrigins: true}, true
	case "standard":
		return Level{}, true
	case "strict":
		return Level{OriginRequired: true, TLSRequired: true}, true
	}
	return Level{}, false
}
