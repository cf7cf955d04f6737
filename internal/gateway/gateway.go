package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Router starts sessions and stops publishes.
type Router interface {
	Open(c transport.Conn, hello session.Hello) transport.Handler
	Hold(ctx context.Context) error
}

// Hub tells who is connected.
type Hub interface {
	Count() int
	Sessions() []*session.Session
}

// Quiescer is the broker's part in a drain: Quiesce returns once everything
// published before has been queued on its receivers' connections.
type Quiescer interface {
	Quiesce(ctx context.Context) error
}

// Parts are what a gateway works with. It owns none of them.
type Parts struct {
	Router   Router
	Hub      Hub
	Broker   Quiescer
	Acceptor transport.Acceptor
	Verifier auth.Verifier
	// LoopbackOnly serves loopback peers alone: development identities that
	// nobody asked to serve to others.
	LoopbackOnly bool
	Log          *zap.Logger
}

// Gateway admits connections. Make it with New. Safe for concurrent use.
type Gateway struct {
	// Immutable after New.
	cfg      Config
	level    Level
	origins  *origins
	parts    Parts
	capacity int

	draining   atomic.Bool
	handshakes atomic.Int64 // admitted, and not yet counted by the hub
	refused    [refusals]atomic.Int64
}

// New makes a gateway that holds at most capacity connections.
func New(cfg Config, capacity int, parts Parts) (*Gateway, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	level, _ := LevelOf(cfg.SecurityLevel)
	allowed, err := newOrigins(cfg.AllowedOrigins, level)
	if err != nil {
		return nil, fmt.Errorf("allowed origins: %w", err)
	}
	return &Gateway{cfg: cfg, level: level, origins: allowed, parts: parts, capacity: capacity}, nil
}

// Capacity is the bound of connections.
func (g *Gateway) Capacity() int { return g.capacity }

// ServeHTTP carries out one upgrade to a WebSocket.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	open := int64(g.parts.Hub.Count())
	waiting := g.handshakes.Add(1)
	defer g.handshakes.Add(-1)
	if reason, ok := g.admit(r, open+waiting); !ok {
		g.refuse(w, reason)
		return
	}
	protocol, ok := selectProtocol(r)
	if !ok {
		g.refuse(w, refusedProtocol)
		return
	}
	hello := g.greet(r)
	err := g.parts.Acceptor.Accept(transport.Request{
		W: w, R: r, Subprotocol: protocol,
		Open: func(c transport.Conn) transport.Handler { return g.parts.Router.Open(c, hello) },
	})
	if err != nil {
		g.parts.Log.Debug("upgrade failed", zap.Error(err))
	}
}

// admit decides before anything is spent on a request. connections counts it.
func (g *Gateway) admit(r *http.Request, connections int64) (refusal, bool) {
	switch {
	case !headerHas(r, "Upgrade", "websocket"):
		return refusedPlain, false
	case g.draining.Load():
		return refusedDraining, false
	case connections > int64(g.capacity):
		return refusedFull, false
	case g.level.TLSRequired && r.TLS == nil:
		return refusedInsecure, false
	case g.parts.LoopbackOnly && !local(r):
		return refusedRemote, false
	case !g.origins.allows(r):
		return refusedOrigin, false
	}
	return 0, true
}

// greet finds out who a client is.
func (g *Gateway) greet(r *http.Request) session.Hello {
	hello := session.Hello{Codec: jsonv1.Codec{}, Peer: peerOf(r)}
	p := present(r, g.level.QueryToken)
	hello.Since = p.since
	switch {
	case p.fault != nil:
		hello.Fault = p.fault
	case p.found > 0:
		ctx, cancel := context.WithTimeout(r.Context(), g.cfg.AuthDeadline)
		defer cancel()
		id, err := g.parts.Verifier.Verify(ctx, p.token, hello.Peer)
		if err != nil {
			hello.Fault = g.fault(err)
			break
		}
		hello.Identity = &id
	case g.level.Guests:
		id := auth.NewGuest()
		hello.Identity = &id
	}
	return hello
}

// fault is what a client is told of a failed verification.
func (g *Gateway) fault(err error) *wire.Error {
	var known *wire.Error
	if errors.As(err, &known) {
		return known
	}
	g.parts.Log.Error("verify a credential", zap.Error(err))
	return wire.NewError(wire.Unavailable, "the credential could not be verified now")
}

// peerOf is the address that a request comes from.
func peerOf(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// local tells whether a request comes from this machine and from nobody behind
// it: a proxy on the machine speaks for others.
func local(r *http.Request) bool {
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip"} {
		if len(r.Header[h]) > 0 {
			return false
		}
	}
	return peerOf(r).IsLoopback()
}

// headerHas tells whether a header lists a word, in any case.
func headerHas(r *http.Request, name, word string) bool {
	for _, h := range r.Header[name] {
		for token := range strings.SplitSeq(h, ",") {
			if strings.EqualFold(strings.TrimSpace(token), word) {
				return true
			}
		}
	}
	return false
}

// refuse answers a request that is not upgraded.
func (g *Gateway) refuse(w http.ResponseWriter, reason refusal) {
	g.refused[reason].Add(1)
	row := reason.row()
	w.Header().Set("Connection", "close") // what follows on it could be anything
	switch row.status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	case http.StatusUpgradeRequired:
		w.Header().Set("Upgrade", "websocket")
	}
	http.Error(w, row.text, row.status)
}

// retryAfter is when a client may try again that found no room.
const retryAfter = 5 * time.Second
