package socketio

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	codec "github.com/moonx-farm/ws-gateway/internal/codec/socketio"
)

// maxNamespaces bounds the sockets that one connection can have.
const maxNamespaces = 100

// Config holds the settings of Socket.IO connections.
type Config struct {
	// Namespaces are those that clients may connect to besides "/", such as
	// "/chat". They share rooms and users.
	Namespaces []string `env:"SOCKETIO_NAMESPACES" envSeparator:","`

	// Recovery is how long after its connection was cut a session can be
	// recovered. 0: sessions cannot.
	Recovery time.Duration `env:"SOCKETIO_RECOVERY" envDefault:"0s"`

	// MaxMissedBytes bounds what a recovered session gets at once. Zero: 512 KiB.
	MaxMissedBytes int
	// MaxPacketBytes bounds a binary packet with its attachments. Zero: 64 KiB.
	MaxPacketBytes int
	// MaxAsks bounds the questions to one socket that are not answered, and
	// MaxAllAsks, about, those to all of the process. Zero: 64 and 65,536.
	MaxAsks, MaxAllAsks int
	// ConnectTimeout is how long a connection may have no socket. Zero: 10 s.
	ConnectTimeout time.Duration
	// PacketTimeout is how long the attachments of a packet may take. Zero: 15 s.
	PacketTimeout time.Duration
}

// Validate names what is wrong with the settings, all of it.
func (c Config) Validate() error {
	var faults []error
	if len(c.Namespaces) > maxNamespaces {
		faults = append(faults, fmt.Errorf("SOCKETIO_NAMESPACES of %d: want at most %d", len(c.Namespaces), maxNamespaces))
	}
	for _, name := range c.Namespaces {
		if !validNamespace(name) {
			faults = append(faults, fmt.Errorf("SOCKETIO_NAMESPACES %q: want names such as /chat, of at most %d bytes", name, codec.MaxNamespace))
		}
	}
	if c.Recovery != 0 && (c.Recovery < time.Second || c.Recovery > 24*time.Hour) {
		faults = append(faults, fmt.Errorf("SOCKETIO_RECOVERY %v: want 0, or from 1s to 24h", c.Recovery))
	}
	return errors.Join(faults...)
}

// validNamespace tells whether a client can write a name: a comma ends it, and
// the library takes what follows "?" for a query.
func validNamespace(name string) bool {
	return strings.HasPrefix(name, "/") && len(name) <= codec.MaxNamespace && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == ',' || r == '?' })
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	c.MaxMissedBytes = cmp.Or(c.MaxMissedBytes, 512<<10)
	c.MaxPacketBytes = cmp.Or(c.MaxPacketBytes, 64<<10)
	c.MaxAsks = cmp.Or(c.MaxAsks, 64)
	c.MaxAllAsks = cmp.Or(c.MaxAllAsks, 65_536)
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, 10*time.Second)
	c.PacketTimeout = cmp.Or(c.PacketTimeout, 15*time.Second)
	return c
}

// codecs are those of the namespaces, by name.
func (c Config) codecs() map[string]codec.Codec {
	all := map[string]codec.Codec{}
	for _, name := range slices.Concat([]string{"/"}, c.Namespaces) {
		all[name] = codec.For(name)
		if c.Recovery > 0 {
			all[name] = all[name].Recoverable()
		}
	}
	return all
}
