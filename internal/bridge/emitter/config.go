package emitter

import (
	"errors"
	"fmt"
)

// Off as the key means that nothing of emitters is listened to.
const Off = "off"

// Config holds the settings of what emitters publish.
type Config struct {
	// Key begins the names of the channels, as the option "key" of emitters and
	// adapters does; off: nothing is listened to.
	Key string `env:"SOCKETIO_EMITTER_KEY" envDefault:"socket.io"`
	// Requests tells whether requests are listened to, beside events. It must
	// be false where Node servers with the adapter share the Redis: they would
	// wait for answers of this instance.
	Requests bool `env:"SOCKETIO_EMITTER_REQUESTS" envDefault:"true"`

	// Namespaces are those that are listened to, such as "/"; nil: "/" alone.
	// They are no setting of their own.
	Namespaces []string
	// MaxData is the longest message in bytes, as it comes and as JSON; 0: no
	// bound. It is no setting of its own.
	MaxData int
}

const maxKey = 128

// Validate names what is wrong with the settings.
func (c Config) Validate() error {
	var faults []error
	if c.Key == "" || len(c.Key) > maxKey || !printable(c.Key) {
		faults = append(faults, fmt.Errorf("SOCKETIO_EMITTER_KEY %q: want 1 to %d visible ASCII characters, or %s", c.Key, maxKey, Off))
	}
	return errors.Join(faults...)
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Enabled tells whether anything is listened to.
func (c Config) Enabled() bool { return c.Key != Off }
