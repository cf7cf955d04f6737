package transport

import (
	"net/http"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Conn is the sending side of a connection. All methods are safe for
// concurrent use, never block and never call the Handler before they return.
type Conn interface {
	// Send queues a shared frame behind all earlier ones. It returns false
	// when the connection is closing, closed, or was cut because its queue
	// passed its byte bound; then the frame was not queued. A frame that the
	// room's slow policy leaves out counts as queued: its place is told.
	Send(f *wire.Frame) bool
	// SendAll queues frames in order, as Send does, waking the writer once.
	// It does not keep the slice. False means that not all were queued.
	SendAll(fs []*wire.Frame) bool
	// Resume lets messages come again after Receive returned false. It may be
	// called before that Receive has returned, and is called once for each
	// false.
	Resume()
	// Close says goodbye politely: what is queued, then the reason, then the
	// end, bounded in time whatever the peer does. Nothing is sent after it.
	// The first Close decides.
	Close(c wire.Close)
	// Abort cuts the connection now. Idempotent.
	Abort()
}

// Handler is the receiving side. The transport calls Receive one message at a
// time, in order, and Closed exactly once, last, never while a Receive runs.
type Handler interface {
	// Receive takes one whole message. The payload is valid until it returns.
	// Text is valid UTF-8. It returns false to receive nothing more until
	// Conn.Resume.
	Receive(op wire.Op, payload []byte) bool
	// Closed tells how the connection ended: the peer's close code, the
	// gateway's own, or CloseAbnormal when it was cut.
	Closed(c wire.Close)
}

// Request is one upgrade to carry out.
type Request struct {
	W http.ResponseWriter
	R *http.Request
	// Subprotocol is the selected subprotocol to answer with; "" for none.
	Subprotocol string
	// OwnHeartbeat says that what stands above has heartbeats of its own: the
	// transport sends no pings, and never takes silence for the peer's death.
	OwnHeartbeat bool
	// Open makes the connection's handler. It is called once the upgrade has
	// succeeded, before any Receive; it may already send.
	Open func(Conn) Handler
}

// Acceptor upgrades HTTP requests to connections. It has checked nothing:
// origin, credentials and admission come before it.
type Acceptor interface {
	// Accept upgrades and returns once the connection lives on its own; the
	// HTTP handler must return then. After an error the HTTP answer was
	// already given and its connection will not be reused.
	Accept(req Request) error
}
