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
	// AllowedHosts are the names under which the gateway may be asked for an
	// upgrade ("*.example.com": any name below); empty: under any. Ports do not
	// count.
	AllowedHosts []string `env:"ALLOWED_HOSTS" envSeparator:","`
	// TrustedProxies are addresses and CIDRs whose word on a client's address
	// and encryption is believed.
	TrustedProxies []string `env:"TRUSTED_PROXIES" envSeparator:","`
	// TrustedProxyHeader is the header that they write, X-Forwarded-For or
	// Forwarded; the other one is whatever the client wrote.
	TrustedProxyHeader string `env:"TRUSTED_PROXY_HEADER" envDefault:"X-Forwarded-For"`
	// MaxHandshakes bounds the handshakes under way. Twice as many TCP
	// connections may be open that are no WebSockets.
	MaxHandshakes int `env:"MAX_HANDSHAKES" envDefault:"10000"`
	// MaxUnauthenticated bounds the connections that have presented no
	// accepted credential yet.
	MaxUnauthenticated int `env:"MAX_UNAUTHENTICATED" envDefault:"10000"`
	// MemoryBudget is the memory in use, in bytes, above which nobody new is
	// let in. 0: by the memory there is.
	MemoryBudget int64 `env:"MEMORY_BUDGET_BYTES" envDefault:"0"`
	// AuthDeadline bounds the wait for a credential.
	AuthDeadline time.Duration `env:"AUTH_DEADLINE" envDefault:"10s"`
	// DrainDelay is the time between "not ready" and the first reconnect hint.
	DrainDelay time.Duration `env:"DRAIN_DELAY" envDefault:"0s"`
	// DrainWindow is the time over which connections are told to reconnect.
	DrainWindow time.Duration `env:"DRAIN_WINDOW" envDefault:"20s"`

	// CloseTimeout is the transport's setting: how long a client that is told
	// to go may take. Zero: 5 s.
	CloseTimeout time.Duration
}

// Validate names what is wrong with the settings, all of it.
func (c Config) Validate() error {
	var faults []error
	if _, ok := LevelOf(c.SecurityLevel); !ok {
		faults = append(faults, fmt.Errorf("SECURITY_LEVEL %q: want minimal, standard or strict", c.SecurityLevel))
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"MAX_CONNECTIONS", c.MaxConnections}, {"MAX_HANDSHAKES", c.MaxHandshakes}, {"MAX_UNAUTHENTICATED", c.MaxUnauthenticated},
	} {
		if n.value < 1 {
			faults = append(faults, fmt.Errorf("%s %d: want at least 1", n.name, n.value))
		}
	}
	if c.MemoryBudget < 0 {
		faults = append(faults, fmt.Errorf("MEMORY_BUDGET_BYTES %d: want 0 (by the memory there is) or more", c.MemoryBudget))
	}
	faults = append(faults, c.badNames()...)
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

// badNames names the entries of lists that cannot be read.
func (c Config) badNames() []error {
	var faults []error
	for _, entry := range c.AllowedOrigins {
		if _, err := parseOrigin(entry); err != nil {
			faults = append(faults, fmt.Errorf("ALLOWED_ORIGINS %q: %w", entry, err))
		}
	}
	for _, entry := range c.AllowedHosts {
		if _, err := newHosts([]string{entry}); err != nil {
			faults = append(faults, fmt.Errorf("ALLOWED_HOSTS %q: %w", entry, err))
		}
	}
	for _, entry := range c.TrustedProxies {
		if _, err := parsePrefix(entry); err != nil {
			faults = append(faults, fmt.Errorf("TRUSTED_PROXIES %q: %w", entry, err))
		}
	}
	if _, err := newProxies(nil, c.TrustedProxyHeader); err != nil {
		faults = append(faults, fmt.Errorf("TRUSTED_PROXY_HEADER %q: %w", c.TrustedProxyHeader, err))
	}
	return faults
}

// Level is what a SECURITY_LEVEL means for admission. What it means for rooms
// stands in the embedded policy of its name.
type Level struct {
	Guests         bool // who presents no credential is a guest
	QueryToken     bool // ?token= is taken
	OwnOrigins     bool // loopback to loopback and IP literals pass unlisted
	OriginRequired bool // a request without Origin is refused
	TLSRequired    bool // plain HTTP is refused, but from trusted proxies that do not say it was plain
	RateLimits     bool // rates are limited whatever RATE_LIMITING_ENABLED says
}

// LevelOf is the one table of security levels; false for an unknown name.
func LevelOf(name string) (Level, bool) {
	switch name {
	case "minimal":
		return Level{Guests: true, QueryToken: true, OwnOrigins: true}, true
	case "standard":
		return Level{}, true
	case "strict":
		return Level{OriginRequired: true, TLSRequired: true, RateLimits: true}, true
	}
	return Level{}, false
}
