package broker

import (
	"context"
	"errors"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Retention says how much of a room is kept. The zero value keeps nothing:
// such a room is at most once.
type Retention struct {
	Size int           // entries
	Age  time.Duration // 0: no bound by age
}

// Keeps reports whether the room has history.
func (r Retention) Keeps() bool { return r.Size > 0 }

// Publication is what Publish takes: the message and how the room keeps it.
type Publication struct {
	wire.Publication
	Retention Retention
	// Replicated asks a broker with replicas to acknowledge only what they
	// have too.
	Replicated bool
}

// Page is a part of a room's log, oldest first.
type Page struct {
	Publications []*wire.Publication
	// Top is the room's position when the page was read. With a limit the
	// last publication may stand before it.
	Top wire.Position
}

// NoLimit asks History for everything after a position.
const NoLimit = -1

// Broker orders, stores and spreads publications. Safe for concurrent use.
// Errors are wire.Errors where a client may see them: Unavailable when the
// outcome of a publish is unknown or the broker is away, Conflict when an
// idempotency key was used with other content, TooLarge over a budget.
type Broker interface {
	// Publish stores p and returns its position; a room without history gets
	// the zero Position, and its deliveries the publisher's nonce alone. A nil
	// error means stored. Repeating a publish with
	// the same Publisher, Room and IdempotencyKey within the key's time
	// returns the first position and delivers nothing. It waits, within ctx,
	// while the room's hand-off to the Sink lags.
	Publish(ctx context.Context, p Publication) (wire.Position, error)
	// Subscribe returns once everything published to the room from now on
	// will be delivered to the Sink. Subscriptions are not counted: the
	// caller subscribes once and unsubscribes once.
	Subscribe(ctx context.Context, room string) error
	// Unsubscribe ends a subscription; what is under way may still arrive.
	Unsubscribe(ctx context.Context, room string) error
	// History reads at most limit publications after since (NoLimit: all; 0:
	// none, just the position). A zero since means from the oldest kept. When
	// since cannot be honoured it returns an *InsufficientStateError and a
	// Page with Top alone.
	History(ctx context.Context, room string, since wire.Position, limit int) (Page, error)
}

// Local is implemented by a broker whose calls never wait for anything
// outside the process, so that they may be made from a transport's worker.
type Local interface {
	// TryPublish is Publish that returns ErrWouldBlock, having done nothing,
	// where Publish would wait.
	TryPublish(p Publication) (wire.Position, error)
}

// ErrWouldBlock is returned by Local.TryPublish when the hand-off lags.
var ErrWouldBlock = errors.New("broker: hand-off lags")

// InsufficientStateError says why a position cannot be resumed from.
type InsufficientStateError struct {
	// Reason is one of "epoch_changed", "trimmed", "expired",
	// "entry_changed", "ahead": safe for clients.
	Reason string
}

// Error implements error.
func (e *InsufficientStateError) Error() string { return "broker: insufficient state: " + e.Reason }

// Told is what a client may be told of it.
func (e *InsufficientStateError) Told() *wire.Error {
	return wire.NewError(wire.InsufficientState, "the position cannot be continued from: "+e.Reason)
}

// Sink takes what the broker delivers. Calls for one room come one at a time
// and in order; calls for different rooms come concurrently. A call may take
// its time: the room's hand-off then lags and publishers wait.
type Sink interface {
	// Deliver hands over publications of one room. The slice is valid until
	// it returns; the publications may be kept.
	Deliver(room string, pubs []*wire.Publication)
	// Gap says that publications of the room are lost to subscribers.
	Gap(room string, gap wire.Gap)
}

// Noticed is implemented by a Sink that takes what instances tell each other
// through a broker that several share.
type Noticed interface {
	// Notice hands over what another instance, or this one, has told about a
	// room. Notices are at most once, and in no order with publications. The
	// payload may be kept. Calls come concurrently and must not block.
	Notice(room string, payload []byte)
}
