package wire

import "slices"

// Op is the kind of a message.
type Op uint8

// The kinds of messages, with the opcodes of RFC 6455 section 5.2.
const (
	Text   Op = 1
	Binary Op = 2
)

// Request is one decoded message of a client: only the envelope is decoded.
// Its slices point into the received message and are valid until
// Handler.Receive returns.
type Request struct {
	Event string
	ID    []byte // raw JSON token, a string of up to 64 bytes or an integer; nil without one
	Data  []byte // raw JSON, validated; nil when absent
}

// Event is a message of the gateway: a reply (ID set) or a server event.
// Data is raw JSON and is written as it is.
type Event struct {
	Name string
	ID   []byte // raw JSON token of the request; nil on server events
	Data []byte
	// Room is set when the event says where a room's stream goes on, and must
	// keep its place between the room's publications. It is not written.
	Room string
}

// SlowPolicy says what happens to a member that reads slower than a room
// speaks.
type SlowPolicy uint8

// The slow policies of a room.
const (
	SlowDisconnect SlowPolicy = iota // close 4008; the client resumes
	SlowDropOldest                   // drop the oldest of such rooms, say gap
	SlowConflate                     // keep the latest per conflate key, say skipped
)

// Publication is one message in a room's total order. It is immutable once it
// was handed to a broker, and may be kept by whoever receives it.
type Publication struct {
	Room  string
	Event string
	Data  []byte // raw JSON

	// Position is set by the broker; Offset 0 in rooms without history, where
	// only the nonce is kept, for the publisher to know its own copy by. The
	// publisher makes Position.Nonce before its first attempt, so that a
	// retry of the same attempt is recognised.
	Position Position

	Publisher      string // scope of the idempotency key: a user or an API key's name
	Origin         string // connection id of the publishing client, "" for backends
	IdempotencyKey string
	ConflateKey    string
	NoEcho         bool  // the origin gets no copy
	Unconfirmed    bool  // delivered before its durability is known: does not acknowledge its publish
	Time           int64 // Unix milliseconds, set by the broker

	// Except are connections that get no copy as it is delivered, at most
	// MaxExcept. The room's history has it for them too.
	Except []string
}

// MaxExcept is the most connections that a publication may leave out.
const MaxExcept = 100

// Spares reports whether a connection gets no copy.
func (p *Publication) Spares(connection string) bool {
	return p.NoEcho && p.Origin == connection || slices.Contains(p.Except, connection)
}

// Gap is a hole in a room's stream: publications after From up to Top are
// missing; the stream continues after Top.
type Gap struct {
	Reason string // "slow", "overflow", "epoch_changed", "history_lost": safe for clients
	From   uint64 // last offset delivered before the hole, 0 if unknown
	Top    Position
}

// GapSlow is the reason of a gap that the room's slow policy left.
const GapSlow = "slow"
