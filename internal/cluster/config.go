package cluster

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Config holds the settings of the fleet.
type Config struct {
	// TTL is how long an instance that is not heard of counts as living. It
	// tells of itself four times as often.
	TTL time.Duration `env:"INSTANCE_TTL" envDefault:"10s"`
	// AdvertiseURL is the base under which clients reach this very instance,
	// wss://gateway-1.example.com or with a path before /ws; empty: all
	// instances stand behind one name.
	AdvertiseURL string `env:"ADVERTISE_URL"`
	// Zone is where the instance stands. Clients are sent to instances in the
	// zone of the one that they ask.
	Zone string `env:"ZONE"`

	Rebalance RebalanceConfig

	// Not settings of their own: INSTANCE_ID, the program's version and the
	// public port's host:port.
	ID      string
	Version string
	Address string
}

// RebalanceConfig holds the settings of handing connections off to instances
// that carry less.
type RebalanceConfig struct {
	// Enabled lets an instance that carries more than its share hand
	// connections off.
	Enabled bool `env:"REBALANCE_ENABLED" envDefault:"true"`
	// Threshold is the deviation from its share at which an instance counts as
	// carrying too much, or too little: 0.15 is 15 percent.
	Threshold float64 `env:"REBALANCE_THRESHOLD" envDefault:"0.15"`
	// Rate bounds the connections that one instance hands off in a second.
	Rate int `env:"REBALANCE_RATE" envDefault:"50"`
	// Min is the number of connections below which an instance hands none off.
	Min int `env:"REBALANCE_MIN" envDefault:"100"`
	// Settle is the pause after a hand-off, in which clients come to rest.
	Settle time.Duration `env:"REBALANCE_SETTLE" envDefault:"10s"`
}

// The bounds of the settings.
const (
	minTTL, maxTTL   = time.Second, 5 * time.Minute
	maxZone          = 64
	maxRate          = 100_000
	maxSettle        = time.Hour
	minThreshold     = 0.01
	maxThreshold     = 10
	maxAdvertisedURL = 512
)

// Validate names what is wrong with the settings, all of it.
func (c Config) Validate() error {
	var faults []error
	if c.TTL < minTTL || c.TTL > maxTTL {
		faults = append(faults, fmt.Errorf("INSTANCE_TTL %v: want %v to %v", c.TTL, minTTL, maxTTL))
	}
	if _, err := baseURL(c.AdvertiseURL); err != nil {
		faults = append(faults, fmt.Errorf("ADVERTISE_URL: %w", err)) // it may hold a password
	}
	if len(c.Zone) > maxZone || !utf8.ValidString(c.Zone) || strings.ContainsFunc(c.Zone, unicode.IsControl) {
		faults = append(faults, fmt.Errorf("ZONE %q: want at most %d bytes of UTF-8 without control characters", c.Zone, maxZone))
	}
	return errors.Join(append(faults, c.Rebalance.Validate())...)
}

// Validate names what is wrong with the settings, all of it.
func (c RebalanceConfig) Validate() error {
	var faults []error
	if !(c.Threshold >= minThreshold && c.Threshold <= maxThreshold) { // false for NaN
		faults = append(faults, fmt.Errorf("REBALANCE_THRESHOLD %v: want %v to %v", c.Threshold, minThreshold, maxThreshold))
	}
	if c.Rate < 1 || c.Rate > maxRate {
		faults = append(faults, fmt.Errorf("REBALANCE_RATE %d: want 1 to %d", c.Rate, maxRate))
	}
	if c.Min < 0 {
		faults = append(faults, fmt.Errorf("REBALANCE_MIN %d: want 0 or more", c.Min))
	}
	if c.Settle < 0 || c.Settle > maxSettle {
		faults = append(faults, fmt.Errorf("REBALANCE_SETTLE %v: want 0s to %v", c.Settle, maxSettle))
	}
	return errors.Join(faults...)
}

var errBaseURL = errors.New("want ws://, wss://, http:// or https:// and a host, perhaps a path, without user, query and fragment")

// baseURL reads the base of an instance's URLs: a WebSocket's scheme, no slash
// at its end; "" stays "".
func baseURL(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || len(s) > maxAdvertisedURL {
		return "", errBaseURL // url.Parse quotes what it was given
	}
	scheme := map[string]string{"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}[u.Scheme]
	if scheme == "" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(s, "?#") {
		return "", errBaseURL
	}
	u.Scheme = scheme
	return strings.TrimRight(u.String(), "/"), nil
}
