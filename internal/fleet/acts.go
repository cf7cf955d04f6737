package fleet

import (
	"context"

	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// act is something that is done to connections.
type act struct {
	User       string `json:"user,omitempty"`
	Connection string `json:"connection,omitempty"`
	Room       string `json:"room,omitempty"`
}

func (a act) target() router.Target { return router.Target{User: a.User, Connection: a.Connection} }

// Subscribe is router.Router.Subscribe for connections of all instances. Some
// of a user's connections may become members, and others not: the Fault says
// why. Errors are wire.Errors when there is no member at all, or
// router.ErrNoConnection.
func (f *Fleet) Subscribe(ctx context.Context, to router.Target, room string) (Reached, error) {
	return f.act(ctx, kindSubscribe, f.subscribe, act{to.User, to.Connection, room})
}

// Unsubscribe is router.Router.Unsubscribe for connections of all instances.
// Errors are as with Subscribe.
func (f *Fleet) Unsubscribe(ctx context.Context, from router.Target, room string) (Reached, error) {
	return f.act(ctx, kindUnsubscribe, f.unsubscribe, act{from.User, from.Connection, room})
}

// Disconnect ends one connection, or those of a user, with CloseDisconnected.
// Nothing keeps the client from coming back. Errors are as with Subscribe.
func (f *Fleet) Disconnect(ctx context.Context, to router.Target) (Reached, error) {
	return f.act(ctx, kindDisconnect, f.disconnect, act{User: to.User, Connection: to.Connection})
}

// act does it here, and has the others do it unless the one connection that is
// meant is here.
func (f *Fleet) act(ctx context.Context, kind string, do answerer[act, outcome], a act) (Reached, error) {
	own := do(ctx, a)
	if own.Fault != nil && own.Fault.Code == wire.InvalidMessage || a.Connection != "" && !own.Absent {
		return together([]outcome{own}, nil, nil)
	}
	h := askOthers[outcome](ctx, f, kind, a)
	return together(append(h.answers, own), h.missing, h.err)
}

func (f *Fleet) subscribe(ctx context.Context, a act) outcome {
	return f.outcomeOf(f.parts.Router.Subscribe(ctx, a.target(), a.Room))
}

func (f *Fleet) unsubscribe(_ context.Context, a act) outcome {
	return f.outcomeOf(f.parts.Router.Unsubscribe(a.target(), a.Room))
}

var errTarget = wire.NewError(wire.InvalidMessage, "name a user or a connection, and not both")

func (f *Fleet) disconnect(_ context.Context, a act) outcome {
	switch {
	case (a.User == "") == (a.Connection == ""):
		return f.outcomeOf(0, errTarget)
	case a.User != "":
		return outcome{Connections: f.parts.Router.DisconnectUser(a.User)}
	case f.parts.Router.Disconnect(a.Connection):
		return outcome{Connections: 1}
	}
	return outcome{Absent: true}
}

// sending is a publication to one connection. Data travels as it is, to the
// byte.
type sending struct {
	Connection     string   `json:"connection"`
	Event          string   `json:"event"`
	Data           []byte   `json:"data,omitempty"`
	Publisher      string   `json:"publisher,omitempty"`
	IdempotencyKey string   `json:"idempotencyKey,omitempty"`
	ConflateKey    string   `json:"conflateKey,omitempty"`
	Except         []string `json:"except,omitempty"`
}

// SendConnection publishes to one connection, on whichever instance it is.
// Nothing is kept, but for the idempotency key. Errors are wire.Errors, or
// router.ErrNoConnection. After Unavailable the outcome is unknown: repeat with
// the same key.
func (f *Fleet) SendConnection(ctx context.Context, id string, o router.Outgoing) error {
	s := sending{id, o.Event, o.Data, o.Publisher, o.IdempotencyKey, o.ConflateKey, o.Except}
	if f.parts.Bus == nil || f.parts.Hub.Session(id) != nil {
		return f.parts.Router.SendConnection(ctx, id, o)
	}
	h := askOthers[outcome](ctx, f, kindSend, s)
	if wire.IsCode(h.err, wire.TooLarge) {
		return h.err
	}
	_, err := together(h.answers, h.missing, h.err)
	return err
}

func (f *Fleet) send(ctx context.Context, s sending) outcome {
	o := router.Outgoing{
		Event: s.Event, Data: s.Data, Publisher: s.Publisher,
		IdempotencyKey: s.IdempotencyKey, ConflateKey: s.ConflateKey, Except: s.Except,
	}
	if err := f.parts.Router.SendConnection(ctx, s.Connection, o); err != nil {
		return f.outcomeOf(0, err)
	}
	return outcome{Connections: 1}
}

// SendRoom is router.Router.SendRoom: the broker brings it to all instances.
func (f *Fleet) SendRoom(ctx context.Context, room string, o router.Outgoing) (wire.Position, error) {
	return f.parts.Router.SendRoom(ctx, room, o)
}

// SendUser is router.Router.SendUser: the broker brings it to all instances.
func (f *Fleet) SendUser(ctx context.Context, userID string, o router.Outgoing) (wire.Position, error) {
	return f.parts.Router.SendUser(ctx, userID, o)
}

// SendEveryone is router.Router.SendEveryone: the broker brings it to all
// instances.
func (f *Fleet) SendEveryone(ctx context.Context, o router.Outgoing) error {
	return f.parts.Router.SendEveryone(ctx, o)
}

// ReadHistory is router.Router.ReadHistory: the log is the same for all
// instances.
func (f *Fleet) ReadHistory(ctx context.Context, room string, since wire.Position, limit int) (router.History, error) {
	return f.parts.Router.ReadHistory(ctx, room, since, limit)
}
