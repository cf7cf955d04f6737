package transport

import "time"

// State is what a connection tells operators of itself.
type State struct {
	// Name is that of the transport, such as "websocket" or "polling".
	Name string
	// QueueBytes are bytes that wait for the peer to take them.
	QueueBytes int
	// Heard is when the peer sent anything last; zero: not known. A connection
	// that must not be judged for its silence counts as heard.
	Heard time.Time
}

// Observable is what a Conn may be besides. State takes the connection's lock
// for a moment, and is safe for concurrent use.
type Observable interface{ State() State }

// StateOf is the state of a connection, zero for one that tells nothing.
func StateOf(c Conn) State {
	if o, ok := c.(Observable); ok {
		return o.State()
	}
	return State{}
}
