package codec

import "github.com/moonx-farm/ws-gateway/internal/wire"

// Codec is one dialect.
type Codec interface {
	// Decode reads one message into req, which then points into payload. A
	// malformed message is a *wire.Error with code InvalidMessage; req.ID is
	// set if it could be read, so that the error can name its request.
	Decode(op wire.Op, payload []byte, req *wire.Request) error
	// Event encodes a reply or a server event.
	Event(e wire.Event) *wire.Frame
	// Publication encodes a publication as its room's members see it. With
	// history (Position.Offset > 0) it carries offset and pos.
	Publication(p *wire.Publication) *wire.Frame
	// Skipped adds "skipped" to a publication's frame, which it leaves as it
	// is: n publications of the room were left out directly before it.
	Skipped(f *wire.Frame, n uint64) *wire.Frame
}

// Named is a Codec that operators are told the name of.
type Named interface {
	Codec
	// Name is that of the dialect, such as "gateway.v1".
	Name() string
}

// NameOf is the name of a dialect, "" for one without.
func NameOf(c Codec) string {
	if named, ok := c.(Named); ok {
		return named.Name()
	}
	return ""
}

// Strict is a Codec with messages that are so malformed that they end the
// connection.
type Strict interface {
	Codec
	// Violation tells whether an error of Decode does.
	Violation(err error) bool
}
