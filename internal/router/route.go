package router

import (
	"bytes"
	"context"
	"net/netip"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Upstreams call the services that routes name. Safe for concurrent use.
type Upstreams interface {
	// Call sends an event to a service and returns its answer, which is JSON.
	// It returns within the route's timeout, and soon after ctx has ended.
	// Errors are wire.Errors.
	Call(ctx context.Context, to *policy.Upstream, c Call) ([]byte, error)
}

// Streams add events to the streams that routes name. Safe for concurrent use.
type Streams interface {
	// Add puts an event into a stream and returns the id of its entry. It
	// returns within a bounded time, and soon after ctx has ended. Errors are
	// wire.Errors.
	Add(ctx context.Context, to *policy.Stream, c Call) (entry string, err error)
}

// Call is an event of a client on its way to a service or into a stream.
type Call struct {
	Identity   *auth.Identity
	Connection string
	Peer       netip.Addr
	Event      string
	Room       string // "" when the route has none
	ID, Data   []byte // raw JSON as the client sent it; nil without
}

// callHold is how long a drain waits for upstreams to answer.
const callHold = 2 * time.Second

var (
	errNoRoute  = wire.NewError(wire.UnknownEvent, "no route takes this event; publish {room, event, data} sends to a room")
	errSend     = wire.NewError(wire.Forbidden, "the policy does not allow this event")
	errAskRoom  = wire.NewError(wire.InvalidMessage, "the event's name makes no room name")
	errHeld     = wire.NewError(wire.Unavailable, "the gateway is draining: reconnect and try again")
	errUpstream = wire.NewError(wire.Unavailable, "the event's service cannot be called")
	errStream   = wire.NewError(wire.Unavailable, "the event's stream cannot be reached")
)

// UseUpstreams says who calls the services of routes. Call it before the first
// session is opened.
func (r *Router) UseUpstreams(u Upstreams) { r.upstreams = u }

// UseStreams says who adds to the streams of routes. Call it before the first
// session is opened.
func (r *Router) UseStreams(s Streams) { r.streams = s }

// route handles an event that the protocol does not know: the policy says
// where it goes.
func (r *Router) route(s *session.Session, req *wire.Request) bool {
	to := r.rooms.Route(req.Event)
	if to == nil {
		return r.fail(s, req.ID, errNoRoute)
	}
	room, about := to.Room(req.Event, s.Identity().UserID, s.ID())
	if about && !wire.ValidRoom(room) {
		return r.fail(s, req.ID, errAskRoom)
	}
	if err := r.maySend(s, to, room); err != nil {
		return r.fail(s, req.ID, err)
	}
	if to.HTTP != nil || to.Stream != nil {
		return r.call(s, req, to, room)
	}
	rule := r.rule(room)
	if rule == nil {
		return r.fail(s, req.ID, errForbidden)
	}
	return r.submit(s, req.ID, broker.Publication{Retention: rule.Retention, Replicated: rule.Replicated, Publication: wire.Publication{
		Room: room, Event: req.Event, Data: req.Data,
	}})
}

// maySend tells whether a session may send an event, about its room if the
// route has one.
func (r *Router) maySend(s *session.Session, to *policy.Route, room string) error {
	switch {
	case wire.IsUserRoom(room) && !wire.OwnsRoom(s.OwnRoom(), room):
		return errForbidden
	case !r.among(s, room, to.Send):
		return errSend
	}
	return nil
}

// call hands an event over. The answer is the data of the reply, which has the
// event's own name; without an id no reply is wanted.
func (r *Router) call(s *session.Session, req *wire.Request, to *policy.Route, room string) bool {
	c := Call{
		Identity: s.Identity(), Connection: s.ID(), Peer: s.Peer(), Event: req.Event, Room: room,
		ID: bytes.Clone(req.ID), Data: bytes.Clone(req.Data),
	}
	if !r.calls.enter() {
		return r.fail(s, req.ID, errHeld)
	}
	if r.begin(s, func() { r.callSoon(s, to, c) }) {
		return false
	}
	r.calls.leave()
	return r.fail(s, req.ID, errShutdown)
}

// callSoon is the part of a call that waits. The call leaves the gate with its
// reply: who holds the gate closes connections next.
func (r *Router) callSoon(s *session.Session, to *policy.Route, c Call) {
	defer r.calls.leave()
	span := r.monitor.Begin(monitor.Upstream)
	ctx, trace := r.tracer.Route(r.ctx, to.Match, c.Connection)
	answer, err := r.handOver(ctx, to, c)
	span.End()
	trace.End(err)
	switch {
	case err != nil:
		r.fail(s, c.ID, err)
	case c.ID != nil:
		s.Send(wire.Event{Name: c.Event, ID: c.ID, Data: answer})
	}
}

// handOver gives an event to the service or the stream of its route. The
// answer of a stream names the entry.
func (r *Router) handOver(ctx context.Context, to *policy.Route, c Call) ([]byte, error) {
	switch {
	case to.HTTP != nil && r.upstreams == nil:
		return nil, errUpstream
	case to.HTTP != nil:
		return r.upstreams.Call(ctx, to.HTTP, c)
	case r.streams == nil:
		return nil, errStream
	}
	entry, err := r.streams.Add(ctx, to.Stream, c)
	if err != nil {
		return nil, err
	}
	return append(jsonscan.AppendQuoted([]byte(`{"id":`), entry), '}'), nil
}
