package policy

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of the streams of routes.
const (
	MaxStreamName   = 256
	MaxStreamLength = 100_000_000
)

// streamLength is what a stream keeps unless the document says otherwise.
const streamLength = 100_000

// StreamRule is the Redis stream of a route.
type StreamRule struct {
	Name      string `yaml:"name"`      // the key as it is: nothing is put before it
	MaxLength Whole  `yaml:"maxLength"` // entries that are kept, about; absent or 0: 100000
}

// Stream is the Redis stream of a route. Two that are equal are one.
type Stream struct {
	Name      string
	MaxLength int // entries that are kept, about: the oldest give way
}

// stream checks the stream of a route; nil stays nil.
func (s *StreamRule) stream() (*Stream, error) {
	if s == nil {
		return nil, nil
	}
	out := &Stream{Name: s.Name, MaxLength: streamLength}
	return out, errors.Join(checkStreamName(s.Name), within("maxLength", s.MaxLength, MaxStreamLength, &out.MaxLength))
}

// checkStreamName wants a key that can be typed and shown.
func checkStreamName(name string) error {
	strange := func(r rune) bool { return r <= ' ' || r > '~' }
	if name == "" || len(name) > MaxStreamName || strings.ContainsFunc(name, strange) {
		return fmt.Errorf("name of stream must be 1 to %d printable characters of ASCII without spaces", MaxStreamName)
	}
	return nil
}
