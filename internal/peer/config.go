package peer

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Config holds the settings of passing requests on.
type Config struct {
	// URL is the base under which other instances reach this one's admin port,
	// http://gateway-1:9007; empty: what the admin port listens on.
	URL string `env:"PEER_URL"`
	// MaxRequests bounds the requests that this instance passes on at a time:
	// a polling client whose session is elsewhere has one or two under way.
	MaxRequests int `env:"PEER_MAX_REQUESTS" envDefault:"4096"`
	// MaxWebSockets bounds the WebSockets that live by way of this instance.
	MaxWebSockets int `env:"PEER_MAX_WEBSOCKETS" envDefault:"4096"`

	// Settings of the transports, which hold here too.
	MaxBody      int           // MAX_MESSAGE_BYTES, of a request
	BodyTimeout  time.Duration // MESSAGE_TIMEOUT, for a request's body
	WriteTimeout time.Duration // WRITE_TIMEOUT, of an answer to a client, and for each part of a WebSocket's data
	// HoldTime bounds the wait for another instance's answer: more than a poll
	// is held for, which is ENGINE_PING_INTERVAL and ENGINE_PING_TIMEOUT.
	HoldTime time.Duration
}

// maxBound is the most that the bounds may be.
const maxBound = 1_000_000

// Validate names what is wrong with the settings, all of it. Zero values stand
// for the defaults.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	if _, err := parseBase(c.URL); c.URL != "" && err != nil {
		faults = append(faults, fmt.Errorf("PEER_URL: %w", err)) // it may hold a password
	}
	for _, bound := range []struct {
		name  string
		value int
	}{{"PEER_MAX_REQUESTS", c.MaxRequests}, {"PEER_MAX_WEBSOCKETS", c.MaxWebSockets}} {
		if bound.value < 1 || bound.value > maxBound {
			faults = append(faults, fmt.Errorf("%s %d: want 1 to %d", bound.name, bound.value, maxBound))
		}
	}
	return errors.Join(faults...)
}

// withDefaults replaces zero values.
func (c Config) withDefaults() Config {
	c.MaxRequests = cmp.Or(c.MaxRequests, 4096)
	c.MaxWebSockets = cmp.Or(c.MaxWebSockets, 4096)
	c.MaxBody = cmp.Or(c.MaxBody, 64<<10)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, 15*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 30*time.Second)
	c.HoldTime = cmp.Or(c.HoldTime, time.Minute)
	return c
}

// Host is the name in URL, under which the admin port must let itself be asked
// (ADMIN_ALLOWED_HOSTS); "" without URL.
func (c Config) Host() string {
	base, err := parseBase(c.URL)
	if err != nil {
		return ""
	}
	return base.Hostname()
}

var errBase = errors.New("want http:// or https:// and a host, perhaps a path, without user, query and fragment")

const maxBase = 512 // bytes

// parseBase reads the base of an admin port's URLs.
func parseBase(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxBase {
		return nil, errBase // url.Parse quotes what it was given
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(s, "?#") {
		return nil, errBase
	}
	return u, nil
}
