package gwproto

import "strconv"

// Dialect is how a protocol writes the messages that are the same in all of
// them. Safe for concurrent use.
type Dialect interface {
	// Scan takes a message of the server apart and reports whether it is one.
	Scan(b []byte, e *Envelope) bool
	// Begin appends a request up to its data, which the caller appends as JSON,
	// and End what follows them. An id of 0 asks for no reply.
	Begin(dst []byte, event string, id uint64) []byte
	End(dst []byte) []byte
}

// Plain is gateway.v1.
type Plain struct{}

var _ Dialect = Plain{}

// Scan implements Dialect.
func (Plain) Scan(b []byte, e *Envelope) bool { return Scan(b, e) }

// Begin implements Dialect.
func (Plain) Begin(dst []byte, event string, id uint64) []byte {
	dst = append(append(dst, `{"event":"`...), event...)
	if id != 0 {
		dst = strconv.AppendUint(append(dst, `","id":`...), id, 10)
		return append(dst, `,"data":`...)
	}
	return append(dst, `","data":`...)
}

// End implements Dialect.
func (Plain) End(dst []byte) []byte { return append(dst, '}') }
