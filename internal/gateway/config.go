package gateway

import "time"

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
