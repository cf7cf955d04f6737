package peer

import (
	"context"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/engineio"
	"github.com/moonx-farm/ws-gateway/internal/transport/polling"
)

// ClientAddress tells the address of a request's client, which may have come
// through proxies.
type ClientAddress func(*http.Request) netip.Addr

// Parts are what a Forwarder works with. It owns none of them.
type Parts struct {
	Fleet Fleet
	Keys  *Keyring
	// Client is nil if clients are the peers of their connections.
	Client ClientAddress
	Log    *zap.Logger
}

// Forwarder passes requests on to the instances that hold their sessions. Make
// it with New. Safe for concurrent use.
type Forwarder struct {
	// Immutable after New.
	cfg       Config
	parts     Parts
	transport *http.Transport
	sender    *sender
	proxy     *httputil.ReverseProxy
	finder    *finder
	bodies    budget
	ctx       context.Context // ends with Shutdown
	cancel    context.CancelFunc

	mu      sync.Mutex
	closing bool                  // guarded by mu
	serving sync.WaitGroup        // of requests; Add under mu
	leaving bool                  // guarded by mu: no WebSockets any more
	leftBy  time.Time             // guarded by mu: when the last of them is gone that leave
	tunnels map[*passage]struct{} // guarded by mu: WebSockets that are open

	requests, webSockets atomic.Int64 // under way
	stats                counters
}

// New makes a forwarder. cfg's zero values stand for the defaults.
func New(cfg Config, parts Parts) (*Forwarder, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f := &Forwarder{cfg: cfg, parts: parts, transport: newTransport(cfg), finder: &finder{fleet: parts.Fleet}, tunnels: map[*passage]struct{}{}}
	f.bodies.limit = max(leastBodies, 4*int64(cfg.MaxBody))
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.sender = &sender{next: f.transport, keys: parts.Keys, self: parts.Fleet.Incarnation(), log: parts.Log}
	proxy, err := f.newProxy()
	if err != nil {
		return nil, err
	}
	f.proxy = proxy
	return f, nil
}

// leastBodies is the least memory that bodies under way may take together.
const leastBodies = 64 << 20

// Shutdown ends what is under way, waits for it, and passes nothing on any more.
func (f *Forwarder) Shutdown() {
	f.mu.Lock()
	f.closing = true
	f.mu.Unlock()
	f.cancel()
	f.serving.Wait()
	f.transport.CloseIdleConnections()
}

// enter counts a request that Shutdown waits for; false during Shutdown.
func (f *Forwarder) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closing {
		return false
	}
	f.serving.Add(1)
	return true
}

// Elsewhere tells whether a session id names another instance. Anybody may have
// written the id.
func (f *Forwarder) Elsewhere(sid string) bool {
	owner := polling.Owner(sid)
	return owner != "" && owner != f.parts.Fleet.Incarnation()
}

// ServeHTTP passes a request on to the instance that its session id names, and
// the answer back. The client was admitted; headers that the answer has already,
// as those of CORS, stay. It returns when the answer was given, or when the
// WebSocket that it became has ended.
func (f *Forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.enter() {
		f.unknown(w)
		return
	}
	defer f.serving.Done()
	if wasForwarded(r) { // it is at its end: going on could go round in a circle
		f.unknown(w)
		return
	}
	owner := polling.Owner(r.URL.Query().Get("sid"))
	base, ok := f.finder.find(r.Context(), owner)
	if !ok {
		f.unknown(w)
		return
	}
	rc := http.NewResponseController(w)
	body, err := f.body(rc, r)
	defer f.bodies.release(cap(body))
	if err != nil {
		f.refuseBody(w, err)
		return
	}
	p := &passage{to: owner, base: base, body: body, digest: digest(body), uri: r.URL.RequestURI(),
		client: f.client(r), host: r.Host, origin: r.Header["Origin"], rc: rc, answer: w.Header(), upgrade: r.Header.Get("Upgrade") != ""}
	release, ok := f.slot(p.upgrade)
	if !ok {
		f.busy(w, "too many requests are passed on to other instances")
		return
	}
	defer release()
	f.pass(w, r, p)
}

// body reads a client's body.
func (f *Forwarder) body(rc *http.ResponseController, r *http.Request) ([]byte, error) {
	// The server's own bound is not meant for a poll, which reads until its end.
	defer func() { _ = rc.SetReadDeadline(time.Time{}) }()
	switch {
	case r.ContentLength > int64(f.cfg.MaxBody):
		return nil, errTooLarge
	case r.ContentLength == 0:
		return nil, nil
	}
	_ = rc.SetReadDeadline(time.Now().Add(f.cfg.BodyTimeout))
	return readBody(r.Body, f.cfg.MaxBody, &f.bodies)
}

// client is what the other instance is told of a client's address.
func (f *Forwarder) client(r *http.Request) string {
	if f.parts.Client == nil {
		return r.RemoteAddr
	}
	addr := f.parts.Client(r)
	if !addr.IsValid() {
		return r.RemoteAddr
	}
	var port uint16 // of a client behind a proxy it is not known
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && peer.Addr().Unmap() == addr {
		port = peer.Port()
	}
	return netip.AddrPortFrom(addr, port).String()
}

// slot counts a request among those under way; false if there are too many.
// Call release in the end.
func (f *Forwarder) slot(upgrade bool) (release func(), ok bool) {
	count, limit := &f.requests, f.cfg.MaxRequests
	if upgrade {
		count, limit = &f.webSockets, f.cfg.MaxWebSockets
	}
	release = func() { count.Add(-1) }
	if count.Add(1) > int64(limit) {
		release()
		return nil, false
	}
	return release, true
}

// unknown tells a client to begin anew.
func (f *Forwarder) unknown(w http.ResponseWriter) {
	f.stats.unknown.Add(1)
	refuse(w, engineio.SessionUnknown.Status(), engineio.SessionUnknown.Body(""))
}

// busy refuses a request that may come again.
func (f *Forwarder) busy(w http.ResponseWriter, text string) {
	f.stats.busy.Add(1)
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, engineio.Forbidden.Body(text))
}

// refuseBody answers a request whose body is not passed on, as the session's own
// instance would.
func (f *Forwarder) refuseBody(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errTooLarge):
		w.Header().Set("Connection", "close") // the rest of it is not read
		refuse(w, http.StatusRequestEntityTooLarge, engineio.BadRequest.Body(err.Error()))
	case errors.Is(err, errNoMemory):
		w.Header().Set("Connection", "close")
		f.busy(w, err.Error())
	default:
		refuse(w, engineio.BadRequest.Status(), engineio.BadRequest.Body(""))
	}
}

func refuse(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", engineio.ErrorContentType)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // constant words, in JSON; and the client may have gone
}
