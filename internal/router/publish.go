package router

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// MaxKey is the longest idempotency or conflation key in bytes.
const MaxKey = 128

var (
	errDraining = wire.NewError(wire.Unavailable, "the gateway is draining: reconnect and repeat with the same idempotencyKey")
	errShutdown = wire.NewError(wire.Unavailable, "the gateway is shutting down")
	errKey      = wire.NewError(wire.InvalidMessage, "a key has 1 to 128 bytes")
	errData     = wire.NewError(wire.InvalidMessage, "data is JSON")
)

// publish handles "publish {room, event, data, idempotencyKey?, conflateKey?,
// echo?}".
func (r *Router) publish(s *session.Session, req *wire.Request) bool {
	var p broker.Publication
	echo := true
	err := fields(req.Data, func(key string, value []byte) error { return publishField(&p, &echo, key, value) })
	if err == nil {
		err = r.admit(s, &p)
	}
	if err != nil {
		return r.fail(s, req.ID, err)
	}
	p.NoEcho = !echo
	return r.submit(s, req.ID, p)
}

// submit publishes for a session what it may, and replies.
func (r *Router) submit(s *session.Session, id []byte, p broker.Publication) bool {
	if !r.publishes.enter() {
		return r.fail(s, id, errDraining)
	}
	p.Data = bytes.Clone(p.Data)
	p.Origin = s.ID()
	p.Publisher = "user/" + s.Identity().UserID
	p.Position.Nonce = newNonce()
	under := &session.Publish{Nonce: p.Position.Nonce, Room: p.Room, ID: bytes.Clone(id)}
	s.BeginPublish(under)
	span := r.measure(s, &p)
	if r.local != nil {
		pos, err := r.local.TryPublish(p)
		if !errors.Is(err, broker.ErrWouldBlock) {
			span.end(err)
			return r.published(s, under, pos, err)
		}
	}
	return r.publishSoon(s, under, p, span)
}

// publishSoon is the part of a publish that may wait. It stands by itself: only
// here a copy of p outlives the call.
func (r *Router) publishSoon(s *session.Session, under *session.Publish, p broker.Publication, span measured) bool {
	begun := r.begin(s, func() {
		pos, err := r.publishWithin(r.ctx, p)
		span.end(err)
		r.published(s, under, pos, err)
	})
	if begun {
		return false
	}
	span.trace.End(errShutdown)
	return r.published(s, under, wire.Position{}, errShutdown)
}

func publishField(p *broker.Publication, echo *bool, key string, value []byte) error {
	switch key {
	case "room":
		return roomName(value, &p.Room)
	case "event":
		return text(value, &p.Event)
	case "data":
		p.Data = value
		return nil
	case "idempotencyKey":
		return keyText(value, &p.IdempotencyKey)
	case "conflateKey":
		return keyText(value, &p.ConflateKey)
	case "echo":
		return boolean(value, echo)
	}
	return errUnknownField
}

// admit checks a client's publish and says how the room keeps it. The rule is
// looked up once: the policy may be replaced at any time.
func (r *Router) admit(s *session.Session, p *broker.Publication) error {
	if p.Room == "" {
		return errRoomName
	}
	if err := wire.CheckPublishable(p.Event); err != nil {
		return err
	}
	rule := r.rule(p.Room)
	if !r.mayPublish(s, p.Room, rule) {
		return errForbidden
	}
	p.Retention, p.Replicated = rule.Retention, rule.Replicated
	return nil
}

// published ends a publish, unless its delivery has. The publish leaves the
// gate with its reply: who holds the gate closes connections next.
func (r *Router) published(s *session.Session, under *session.Publish, pos wire.Position, err error) bool {
	defer r.publishes.leave()
	mine := func(p *session.Publish) bool { return p == under }
	if err != nil && s.DropPublish(mine) {
		return r.fail(s, under.ID, err)
	}
	// Stored, whatever the broker's answer says, if the delivery has replied.
	r.stats.published.Add(1)
	s.EndPublish(mine, func(p *session.Publish) wire.Event { return hub.Published(p, pos) })
	return true
}

// publishWithin publishes, waiting for a lagging hand-off as long as the
// configuration allows.
func (r *Router) publishWithin(ctx context.Context, p broker.Publication) (wire.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.PublishWait)
	defer cancel()
	return r.broker.Publish(ctx, p)
}

// newNonce returns 48 random bits, never 0.
func newNonce() uint64 {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // never fails
		if n := binary.LittleEndian.Uint64(b[:]) & wire.Bits48; n != 0 {
			return n
		}
	}
}

// Outgoing is a message of a backend.
type Outgoing struct {
	Event          string
	Data           []byte // JSON
	Publisher      string // scope of the idempotency key
	IdempotencyKey string
	ConflateKey    string
	Except         []string // connections that get no copy, see wire.Publication
}

func (o *Outgoing) check() error {
	if err := wire.CheckPublishable(o.Event); err != nil {
		return err
	}
	if len(o.IdempotencyKey) > MaxKey || len(o.ConflateKey) > MaxKey {
		return errKey
	}
	if o.Data != nil && jsonscan.Valid(o.Data) != nil {
		return errData
	}
	return checkExcept(o.Except)
}

// SendRoom publishes to a room. Nil means stored, where the room has history.
// It waits while the room's hand-off lags. Errors are wire.Errors.
func (r *Router) SendRoom(ctx context.Context, room string, o Outgoing) (wire.Position, error) {
	rule := r.rule(room)
	switch {
	case !wire.ValidRoom(room):
		return wire.Position{}, errRoomName
	case rule == nil, rule.Publish == policy.Nobody:
		return wire.Position{}, errForbidden
	}
	return r.send(ctx, room, rule, o)
}

// SendUser publishes to the room of a user, and so to all connections of the
// user.
func (r *Router) SendUser(ctx context.Context, userID string, o Outgoing) (wire.Position, error) {
	return r.SendRoom(ctx, wire.UserRoom(userID), o)
}

// SendEveryone publishes to all connections. Nothing is kept.
func (r *Router) SendEveryone(ctx context.Context, o Outgoing) error {
	_, err := r.send(ctx, wire.Everyone, &policy.Room{}, o)
	return err
}

// send publishes to a room as its rule says it is kept.
func (r *Router) send(ctx context.Context, room string, rule *policy.Room, o Outgoing) (wire.Position, error) {
	if err := o.check(); err != nil {
		return wire.Position{}, err
	}
	if !r.publishes.enter() {
		return wire.Position{}, errDraining
	}
	defer r.publishes.leave()
	p := broker.Publication{Retention: rule.Retention, Replicated: rule.Replicated, Publication: wire.Publication{
		Room: room, Event: o.Event, Data: o.Data, Publisher: o.Publisher,
		IdempotencyKey: o.IdempotencyKey, ConflateKey: o.ConflateKey, Except: o.Except,
	}}
	p.Position.Nonce = newNonce()
	span := measured{r.monitor.Begin(monitor.Publish), r.tracer.Publish(ctx, patternOf(room, rule), "", len(o.Data))}
	pos, err := r.publishWithin(ctx, p)
	span.end(err)
	if err == nil {
		r.stats.published.Add(1)
	}
	return pos, err
}

// SendConnections sends an event to connections of this instance and returns
// how many took it. Nothing is kept.
func (r *Router) SendConnections(ids []string, o Outgoing) (int, error) {
	if err := o.check(); err != nil {
		return 0, err
	}
	n := 0
	for _, id := range ids {
		if s := r.hub.Session(id); s != nil && s.Send(wire.Event{Name: o.Event, Data: o.Data}) {
			n++
		}
	}
	return n, nil
}
