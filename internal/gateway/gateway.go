package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Router starts sessions and stops publishes.
type Router interface {
	Open(c transport.Conn, hello session.Hello) transport.Handler
	// Admits tells whether Open would give a session its identity.
	Admits(ctx context.Context, hello session.Hello) error
	// Resume takes up a session that was cut; false when that is not possible.
	Resume(ctx context.Context, c transport.Conn, from router.Resumed) (transport.Handler, bool)
	Hold(ctx context.Context) error
	// Pending counts sessions that nobody has authenticated on yet.
	Pending() int64
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
	// Limits counts connections of addresses and users.
	Limits *limit.Limiter
	// MemoryBudget is the memory in use, in bytes, above which nobody is let
	// in; 0: none.
	MemoryBudget int64
	Tracer       *tracing.Tracer // nil: makes no spans
	Log          *zap.Logger
}

// Gateway admits connections. Make it with New. Safe for concurrent use.
type Gateway struct {
	// Immutable after New.
	cfg       Config
	level     Level
	origins   *origins
	hosts     hosts
	proxies   *proxies
	memory    *memory
	parts     Parts
	capacity  int
	verifying context.Context    //nolint:containedctx // of all verifications; ends as a drain begins
	giveUp    context.CancelFunc // ends verifying

	// Immutable once connections come.
	onDrain   []func()
	elsewhere func() string // nil: says nothing
	lobby     Lobby         // nil without Socket.IO

	draining   atomic.Bool
	drainMu    sync.Mutex
	drain      *draining    // guarded by drainMu; nil until a drain begins
	handshakes atomic.Int64 // under way: not yet counted by the hub
	nameless   atomic.Int64 // of them without identity: not yet counted by the router
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
	names, err := newHosts(cfg.AllowedHosts)
	if err != nil {
		return nil, fmt.Errorf("allowed hosts: %w", err)
	}
	trusted, err := newProxies(cfg.TrustedProxies, cfg.TrustedProxyHeader)
	if err != nil {
		return nil, fmt.Errorf("trusted proxies: %w", err)
	}
	verifying, giveUp := context.WithCancel(context.Background())
	return &Gateway{
		verifying: verifying, giveUp: giveUp,
		cfg: cfg, level: level, origins: allowed, hosts: names, proxies: trusted,
		memory: newMemory(parts.MemoryBudget), parts: parts, capacity: capacity,
	}, nil
}

// Capacity is the bound of connections.
func (g *Gateway) Capacity() int { return g.capacity }

// ServeHTTP carries out one upgrade to a WebSocket.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r, span := g.parts.Tracer.Connect(r, "/ws")
	defer span.End(nil)
	waiting := g.handshakes.Add(1)
	defer g.handshakes.Add(-1)
	from := g.proxies.client(r)
	if reason, ok := g.admit(r, from, waiting); !ok {
		g.refuse(w, r, reason)
		return
	}
	protocol, ok := selectProtocol(r)
	if !ok {
		g.refuse(w, r, refusedProtocol)
		return
	}
	account, ok := g.parts.Limits.Open(from.addr)
	if !ok {
		g.refuse(w, r, refusedAddress)
		return
	}
	if !g.upgrade(w, r, protocol, from.addr, account) {
		account.Close() // else the session does
	}
}

// upgrade finds out who a client is and starts its session; false when there
// is none.
func (g *Gateway) upgrade(w http.ResponseWriter, r *http.Request, protocol string, from netip.Addr, account *limit.Account) (opened bool) {
	hello := g.greet(r, from)
	if hello.Fault != nil && g.draining.Load() {
		g.refuse(w, r, refusedDraining) // it may be the drain's own doing
		return false
	}
	hello.Account = account
	if hello.Identity == nil {
		nameless := g.nameless.Add(1)
		defer g.nameless.Add(-1)
		// The router second, as with the hub.
		if nameless+g.unauthenticated() > int64(g.cfg.MaxUnauthenticated) {
			g.refuse(w, r, refusedPending)
			return false
		}
	}
	err := g.parts.Acceptor.Accept(transport.Request{
		W: w, R: r, Subprotocol: protocol,
		Open: func(c transport.Conn) transport.Handler {
			opened = true
			h := g.parts.Router.Open(c, hello)
			traceOpened(r, h, hello.Fault)
			return h
		},
	})
	if err != nil { // the client was told why; the reason may quote its headers
		tracing.Current(r.Context()).Fail(err)
		g.parts.Log.Debug("upgrade failed", zap.Stringer("peer", from))
	}
	return opened
}

// admit decides before anything is spent on a request. waiting counts the
// handshakes under way, this one too.
func (g *Gateway) admit(r *http.Request, from client, waiting int64) (refusal, bool) {
	if !headerHas(r, "Upgrade", "websocket") {
		return refusedPlain, false
	}
	if reason, ok := g.hasRoom(waiting); !ok {
		return reason, false
	}
	return g.mayAsk(r, from)
}

// mayAsk decides whether a client is answered, whatever it asks for.
func (g *Gateway) mayAsk(r *http.Request, from client) (refusal, bool) {
	switch {
	case !g.hosts.allows(r.Host):
		return refusedHost, false
	case g.level.TLSRequired && from.plain:
		return refusedInsecure, false
	case g.parts.LoopbackOnly && !local(r):
		return refusedRemote, false
	case !g.origins.allows(r):
		return refusedOrigin, false
	}
	return 0, true
}

// hasRoom tells whether there is room for one more, whoever it is.
func (g *Gateway) hasRoom(waiting int64) (refusal, bool) {
	switch {
	case g.draining.Load():
		return refusedDraining, false
	case waiting > int64(g.cfg.MaxHandshakes):
		return refusedHandshakes, false
	// The hub after the handshakes: one that ends between the two looks is
	// counted twice, and not missed.
	case waiting+int64(g.connections()) > int64(g.capacity):
		return refusedFull, false
	case g.memory.exceeded():
		return refusedMemory, false
	}
	return 0, true
}

// greet finds out who a client is. It does not hold up a drain: a verification
// under way ends in a fault as one begins.
func (g *Gateway) greet(r *http.Request, from netip.Addr) session.Hello {
	hello := session.Hello{Codec: jsonv1.Codec{}, Peer: from}
	p := present(r, g.level.QueryToken)
	hello.Since = p.since
	switch {
	case p.fault != nil:
		hello.Fault = p.fault
	case p.found > 0:
		hello.Identity, hello.Fault = g.verify(r.Context(), p.token, from)
	case g.level.Guests:
		id := auth.NewGuest()
		hello.Identity = &id
	}
	return hello
}

// verify returns the identity that a token proves. A drain that begins ends it
// in a fault.
func (g *Gateway) verify(ctx context.Context, token string, from netip.Addr) (*auth.Identity, *wire.Error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.AuthDeadline)
	defer cancel()
	defer context.AfterFunc(g.verifying, cancel)() //nolint:contextcheck // the end of either ends it
	id, err := g.parts.Verifier.Verify(ctx, token, from)
	if err != nil {
		return nil, g.fault(err)
	}
	return &id, nil
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
