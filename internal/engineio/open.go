package engineio

import (
	"strconv"
	"time"
)

// Limits are what both sides of a session keep to.
type Limits struct {
	PingInterval   time.Duration // from a pong to the next ping
	PingTimeout    time.Duration // for the pong
	UpgradeTimeout time.Duration // for the whole upgrade, from its WebSocket's start
	MaxPayload     int           // bytes of a request's body, and of one WebSocket message
}

// DefaultLimits are those of the reference implementation.
func DefaultLimits() Limits {
	return Limits{
		PingInterval:   25 * time.Second,
		PingTimeout:    20 * time.Second,
		UpgradeTimeout: 10 * time.Second,
		MaxPayload:     1_000_000,
	}
}

// Transport is a way to carry packets, by its name in the query.
type Transport string

// The transports of the protocol that the gateway speaks.
const (
	Polling   Transport = "polling"
	WebSocket Transport = "websocket"
)

// Known reports whether a client may ask for t.
func (t Transport) Known() bool { return t == Polling || t == WebSocket }

// AppendOpen appends the packet that opens a session: its secret id, the
// transports that it may upgrade to from t, and the limits that the client
// must know, times in whole milliseconds. sid must need no escapes in JSON.
func AppendOpen(dst []byte, sid string, t Transport, l Limits) []byte {
	dst = append(append(append(dst, `0{"sid":"`...), sid...), `","upgrades":[`...)
	if t == Polling {
		dst = append(dst, `"websocket"`...)
	}
	dst = append(dst, `],"pingInterval":`...)
	dst = strconv.AppendInt(dst, l.PingInterval.Milliseconds(), 10)
	dst = append(dst, `,"pingTimeout":`...)
	dst = strconv.AppendInt(dst, l.PingTimeout.Milliseconds(), 10)
	dst = append(dst, `,"maxPayload":`...)
	dst = strconv.AppendInt(dst, int64(l.MaxPayload), 10)
	return append(dst, '}')
}
