package emitter

import (
	"errors"
	"fmt"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Types of packets that are events: the second is what emitters of before
// Socket.IO 3 write for binary data.
const (
	packetEvent       = 2
	packetBinaryEvent = 5
)

var errParts = errors.New("a message is [uid, packet, options]")

// message is an event as it was published.
type message struct {
	kind      int64 // type of its packet
	namespace string
	event     Event
	opts      options
}

type options struct{ rooms, except []string }

// parseMessage reads a message of at most limit bytes (0: no bound), which is
// MessagePack. The errors hold nothing of it.
func parseMessage(raw string, limit int) (message, error) {
	m := message{namespace: "/"}
	if limit > 0 && len(raw) > limit {
		return m, errTooLarge
	}
	s := newScanner(raw, limit)
	parts := 0
	err := s.array(func(i int) error {
		parts++
		switch i {
		case 1:
			return s.object(func(key string) error { return m.packetField(s, key) })
		case 2:
			return s.object(func(key string) error { return m.opts.field(s, key) })
		}
		return s.skip()
	})
	if err == nil && parts < 3 {
		err = errParts
	}
	if err != nil {
		return m, fmt.Errorf("read a message: %w", err)
	}
	return m, nil
}

// packetField reads a field of the packet.
func (m *message) packetField(s *scanner, key string) error {
	switch key {
	case "type":
		if !isInteger(s.peek()) {
			return errKind
		}
		n, err := s.decode.DecodeInt64()
		m.kind = n
		return err
	case "nsp":
		if s.null() {
			return nil
		}
		name, err := s.name()
		m.namespace = name
		return err
	case "data":
		return m.event.read(s)
	}
	return s.skip()
}

// read reads an event's data: its name and its arguments.
func (e *Event) read(s *scanner) error {
	*e = Event{}
	if !isArray(s.peek()) {
		return s.skip() // of a packet that is no event
	}
	s.out = nil
	err := s.array(func(i int) (err error) {
		if i == 0 {
			if e.Name, err = s.name(); errors.Is(err, errKind) {
				err = s.skip() // of an acknowledgement
			}
			return err
		}
		if e.Count++; e.Count > 1 {
			s.out = append(s.out, ',')
		}
		return s.value(0)
	})
	e.Args, s.out = s.out, nil
	return err
}

// field reads a field of the options. Flags make no difference: nothing is kept
// for who is away, and compression is the connection's matter.
func (o *options) field(s *scanner, key string) error {
	switch key {
	case "rooms":
		return names(s, &o.rooms)
	case "except":
		return names(s, &o.except)
	}
	return s.skip()
}

// names reads a list of rooms; null is none.
func names(s *scanner, to *[]string) error {
	*to = nil
	if s.null() {
		return nil
	}
	return s.array(func(int) error {
		name, err := s.name()
		*to = append(*to, name)
		return err
	})
}

var errName = wire.NewError(wire.Forbidden, "the event name is reserved for Socket.IO")

// publishable tells whether backends may publish an event of this name: neither
// the gateway's own, nor those that make a client of Socket.IO close.
func publishable(name string) error {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return errName
	}
	return wire.CheckPublishable(name)
}
