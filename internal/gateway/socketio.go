package gateway

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/engineio"
	"github.com/moonx-farm/ws-gateway/internal/socketio"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
)

// Engine carries connections over HTTP long-polling and WebSockets, as Engine.IO
// has it. It has checked nothing of who asks.
type Engine interface {
	// Accept carries out a handshake, which is a request without a session's
	// id. After an error the answer was given.
	transport.Acceptor
	// Continue serves a request of a session that there is.
	Continue(w http.ResponseWriter, r *http.Request)
}

// SocketIO is the entrance for Socket.IO clients. Who may come in, and how many,
// is decided as for WebSockets, by the same gateway. Make it with
// Gateway.SocketIO. Safe for concurrent use.
type SocketIO struct {
	// Immutable.
	gateway *Gateway
	engine  Engine
	server  *socketio.Server
}

var _ socketio.Admission = (*SocketIO)(nil)

// SocketIO opens the entrance for Socket.IO clients. Call it once, before the
// first connection.
func (g *Gateway) SocketIO(e Engine, s *socketio.Server) *SocketIO {
	entrance := &SocketIO{g, e, s}
	g.lobby = s
	s.UseAdmission(entrance)
	return entrance
}

// ServeHTTP serves one request: a handshake, one of a session, or a browser's
// question whether its page may ask. Origin, Host and encryption are looked at
// in each of them; a page that found out the id of a session could else speak
// for it.
func (s *SocketIO) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from := s.gateway.proxies.client(r)
	if reason, ok := s.gateway.mayAsk(r, from); !ok {
		w.Header().Add("Vary", "Origin")
		s.refuse(w, r, reason)
		return
	}
	s.gateway.shareWith(w, r)
	switch {
	case r.Method == http.MethodOptions:
		polling.Preflight(w, r)
	case polling.HasSession(r):
		s.engine.Continue(w, r)
	default:
		s.handshake(w, r, from)
	}
}

// handshake lets in who begins a session, if there is room.
func (s *SocketIO) handshake(w http.ResponseWriter, r *http.Request, from client) {
	g := s.gateway
	r, span := g.parts.Tracer.Connect(r, r.URL.Path)
	defer span.End(nil)
	waiting := g.handshakes.Add(1)
	defer g.handshakes.Add(-1)
	if reason, ok := g.hasRoom(waiting); !ok {
		s.refuse(w, r, reason)
		return
	}
	nameless := g.nameless.Add(1)
	defer g.nameless.Add(-1)
	if nameless+g.unauthenticated() > int64(g.cfg.MaxUnauthenticated) {
		s.refuse(w, r, refusedPending)
		return
	}
	s.accept(w, r, from)
}

// accept opens the connection of a client that is let in.
func (s *SocketIO) accept(w http.ResponseWriter, r *http.Request, from client) {
	g := s.gateway
	account, ok := g.parts.Limits.Open(from.addr)
	if !ok {
		s.refuse(w, r, refusedAddress)
		return
	}
	opened := false
	err := s.engine.Accept(transport.Request{W: w, R: r, Open: func(c transport.Conn) transport.Handler {
		opened = true
		return s.server.Open(c, socketio.Handshake{Peer: from.addr, Account: account, Claim: claim(r, g.level.QueryToken)})
	}})
	if !opened {
		account.Close() // else the connection does
	}
	if err != nil { // the client was told why; the reason may quote its headers
		g.parts.Log.Debug("Engine.IO handshake failed", zap.Stringer("peer", from.addr))
	}
}

// claim is what a handshake says of its client, nil for nothing.
func claim(r *http.Request, queryToken bool) *socketio.Claim {
	p := present(r, queryToken)
	if p.found == 0 && p.since == nil {
		return nil
	}
	return &socketio.Claim{Token: p.token, Since: p.since, Fault: p.fault}
}

// refuse refuses a client in the words of the protocol.
func (s *SocketIO) refuse(w http.ResponseWriter, r *http.Request, reason refusal) {
	row := s.gateway.refusing(w, r, reason)
	w.Header().Set("Content-Type", engineio.ErrorContentType)
	w.WriteHeader(row.status)
	_, _ = w.Write(engineio.Forbidden.Body(row.text)) // the client may have gone
}
