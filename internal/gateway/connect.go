package gateway

import (
	"context"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/socketio"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// What a client is told whose CONNECT brings no identity.
var (
	errNobody    = wire.NewError(wire.Unauthenticated, "no credential was presented: give one as auth.token")
	errRunOut    = wire.NewError(wire.Unauthenticated, "the connection's credential has run out: give another as auth.token")
	errOtherUser = wire.NewError(wire.Forbidden, "the connection belongs to another user; open another one")
)

// Admit implements socketio.Admission. While the gateway drains nobody is told
// that a namespace is refused, after which the library would not come back.
func (s *SocketIO) Admit(ctx context.Context, c socketio.Connect) (socketio.Admitted, error) {
	ctx, span := s.gateway.parts.Tracer.ConnectPacket(ctx, c.SID)
	hello, err := s.hello(ctx, c)
	span.End(err)
	switch {
	case err != nil && s.gateway.draining.Load():
		return socketio.Admitted{}, socketio.LeaveError{Close: closeDrain}
	case err != nil:
		return socketio.Admitted{}, err
	}
	return socketio.Admitted{
		Identity: hello.Identity,
		Open:     func(conn transport.Conn) transport.Handler { return s.gateway.parts.Router.Open(conn, hello) },
		Resume: func(ctx context.Context, conn transport.Conn, state socketio.Resumed) (transport.Handler, bool) {
			return s.gateway.parts.Router.Resume(ctx, conn, router.Resumed{
				Hello: resumed(hello, state), Rooms: state.Rooms, Say: state.Say,
			})
		},
	}, nil
}

// resumed is a session's greeting with what it had before it was cut. Where its
// rooms are resumed from is known.
func resumed(hello session.Hello, state socketio.Resumed) session.Hello {
	hello.ID, hello.Identity, hello.Since = state.SID, state.Identity, nil
	return hello
}

// hello finds out who a client is, and whether the router takes its session.
func (s *SocketIO) hello(ctx context.Context, c socketio.Connect) (session.Hello, error) {
	hello := session.Hello{
		ID: c.SID, Codec: c.Codec, Peer: c.Peer, Since: c.Auth.Since, Account: c.Account, Shared: true,
	}
	if c.Claim != nil && hello.Since == nil {
		hello.Since = c.Claim.Since
	}
	token, fault := credentialOf(c)
	if fault == nil {
		hello.Identity, fault = s.identify(ctx, c, token)
	}
	if fault != nil {
		return hello, fault
	}
	return hello, s.gateway.parts.Router.Admits(ctx, hello)
}

// credentialOf is the one credential of a CONNECT and its handshake, "" without
// one.
func credentialOf(c socketio.Connect) (string, *wire.Error) {
	var p presented
	if c.Claim != nil && (c.Claim.Token != "" || c.Claim.Fault != nil) {
		p.take(c.Claim.Token, c.Claim.Fault)
	}
	if c.Auth.Token != "" {
		p.take(c.Auth.Token, nil)
	}
	return p.token, p.fault
}

// identify returns the identity of a CONNECT. All on one connection are the same
// user's; who has said who that is need not say it again.
func (s *SocketIO) identify(ctx context.Context, c socketio.Connect, token string) (*auth.Identity, *wire.Error) {
	known := c.Identity
	switch {
	case token != "":
		id, fault := s.gateway.verify(ctx, token, c.Peer)
		if fault == nil && known != nil && id.UserID != known.UserID {
			return nil, errOtherUser
		}
		return id, fault
	case known != nil && hasRunOut(known):
		return nil, errRunOut
	case known != nil:
		return known, nil
	case s.gateway.level.Guests:
		guest := auth.NewGuest()
		return &guest, nil
	}
	return nil, errNobody
}

func hasRunOut(id *auth.Identity) bool {
	return !id.ExpiresAt.IsZero() && !id.ExpiresAt.After(time.Now())
}
