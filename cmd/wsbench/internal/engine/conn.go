//go:build linux

package engine

// state is where a connection stands.
type state uint8

const (
	idle       state = iota // never dialled, or closed
	connecting              // connect(2) is under way
	opening                 // the handshake request was sent
	open
	closing // our close frame was sent
)

// Conn is one client connection. It is owned by its Loop.
type Conn struct {
	Index int32 // number in the whole group
	Slot  int32 // number in its loop
	fd    int32
	to    uint8  // the target, by its number
	gen   uint16 // told apart from an earlier connection in the same slot
	state state
	armed bool // waits for EPOLLOUT
	await bool // open, and counted among the handshakes under way until Up
	spill *spill
}

// IsOpen reports whether messages can be sent.
func (c *Conn) IsOpen() bool { return c.state == open }

// Await keeps an open connection among the handshakes under way, which are
// bounded, until Up or its end: for servers that are not done with a client when
// they have answered its handshake.
func (l *Loop) Await(c *Conn) {
	if !c.await {
		c.await = true
		l.Counters.Pending.Add(1)
	}
}

// Up ends what Await began.
func (l *Loop) Up(c *Conn) {
	if c.await {
		c.await = false
		l.Counters.Pending.Add(-1)
	}
}

// Target is the number of the target that the connection was or is to be
// dialled to.
func (c *Conn) Target() int { return int(c.to) }

// spill is what a connection needs only now and then.
type spill struct {
	in  []byte // beginning of an incomplete frame
	out []byte // what the socket did not take
	msg []byte // fragments of an unfinished message
}

func (s *spill) empty() bool { return len(s.in)+len(s.out)+len(s.msg) == 0 }

// Closure says how a connection ended.
type Closure struct {
	Code   uint16 // of the server's close frame; 1006 if it sent none
	Reason string // of the close frame
	Err    error  // a fault of the handshake, the protocol or the socket
	Opened bool   // the handshake had succeeded
	Ours   bool   // this side asked for it
}

// Handler is told what happens on a Loop's connections, always by the loop's
// own goroutine.
type Handler interface {
	// Token appends the credential that connection index presents.
	Token(dst []byte, index int32) []byte
	// Opened follows a successful handshake.
	Opened(c *Conn)
	// Message is called for each complete text message. payload is valid until
	// it returns; now is the clock's time of the read that completed it.
	Message(c *Conn, payload []byte, now int64)
	// Closed is called once for each dialled connection, last.
	Closed(c *Conn, why Closure)
	// Tick is called after each batch of events, and at the time that the last
	// Tick returned (0: no wish; the loop ticks as often as Config.Tick says at least).
	Tick(now int64) (next int64)
}
