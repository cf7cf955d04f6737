package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Listen opens a listener. Tests give one that is not of this world.
type Listen func(ctx context.Context, network, address string) (net.Listener, error)

// ListenTCP listens with TCP keepalive off: towards a million sockets the
// kernel's probes would cost more than they tell.
func ListenTCP(ctx context.Context, network, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	return lc.Listen(ctx, network, address)
}

// The bounds of a plain HTTP request.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	headerBytes   = 16 << 10
	idleTimeout   = 60 * time.Second
	adminWrite    = 2 * time.Minute // a CPU profile takes its time
)

// Servers are the public and the admin HTTP server. Make them with New.
type Servers struct {
	// Immutable after New.
	cfg    Config
	listen Listen
	log    *zap.Logger
	keys   *Keys
	failed func(error)
	public *http.Server
	admin  *http.Server
	cert   *Certificate // nil without TLS

	serving sync.WaitGroup

	mu        sync.Mutex
	listeners []net.Listener // guarded by mu: public, admin
}

// New makes servers of the routes; cert is nil without TLS. failed is called, at most once per server,
// when one ends by itself.
func New(
	cfg Config, routes []Route, keys *Keys, cert *Certificate, listen Listen, failed func(error), log *zap.Logger,
) *Servers {
	s := &Servers{cfg: cfg, listen: listen, log: log, keys: keys, cert: cert, failed: failed}
	s.public = s.server(mux(Public, routes, keys))
	if cfg.ProxyProtocol {
		s.public.Handler, s.public.ConnContext = bare(s.public.Handler), behindProxy
	}
	s.admin = s.server(hostGuard(cfg.AdminAllowedHosts, siteGuard(mux(Admin, routes, keys))))
	s.admin.WriteTimeout = adminWrite
	return s
}

func (s *Servers) server(h http.Handler) *http.Server {
	std, err := zap.NewStdLogAt(s.log, zap.DebugLevel) // clients' faults, of which there are many
	if err != nil {
		std = zap.NewStdLog(s.log)
	}
	srv := &http.Server{
		Handler: s.reporting(h), ErrorLog: std,
		ReadHeaderTimeout: cmp.Or(s.cfg.HandshakeTimeout, headerTimeout), ReadTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
		Protocols: new(http.Protocols), // WebSocket needs HTTP/1.1
	}
	srv.Protocols.SetHTTP1(true)
	return srv
}

// reporting says in the log when a handler panics: net/http ends the request,
// and tells only ErrorLog, among the faults of clients.
func (s *Servers) reporting(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done := false
		defer func() {
			if !done {
				s.log.Error("a handler panicked", zap.String("pattern", r.Pattern), zap.Stack("stack"))
			}
		}()
		h.ServeHTTP(w, r)
		done = true
	})
}

// Start listens on both ports and serves. Nothing is served unless both can
// be listened on.
func (s *Servers) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	public, err := s.listen(ctx, "tcp", s.cfg.PublicAddr())
	if err != nil {
		return fmt.Errorf("listen on HOST and PORT: %w", err)
	}
	admin, err := s.listen(ctx, "tcp", s.cfg.AdminAddr())
	if err != nil {
		return errors.Join(fmt.Errorf("listen on ADMIN_HOST and ADMIN_PORT: %w", err), public.Close())
	}
	s.listeners = []net.Listener{public, admin}
	if s.cfg.ProxyProtocol {
		public = &proxyListener{public, prefixes(s.cfg.TrustedProxies), cmp.Or(s.cfg.HandshakeTimeout, headerTimeout)}
	}
	if s.cert != nil {
		public = tls.NewListener(public, &tls.Config{
			MinVersion: tls.VersionTLS12, GetCertificate: s.cert.get, NextProtos: []string{"http/1.1"},
		})
	}
	s.serving.Go(func() { s.serve(s.public, public) })
	s.serving.Go(func() { s.serve(s.admin, admin) })
	return nil
}

func (s *Servers) serve(srv *http.Server, ln net.Listener) {
	if err := srv.Serve(&steady{Listener: ln, log: s.log}); !errors.Is(err, http.ErrServerClosed) {
		s.failed(fmt.Errorf("serve %s: %w", ln.Addr(), err))
	}
}

// PublicAddr is where the public server listens; nil before Start.
func (s *Servers) PublicAddr() net.Addr { return s.addr(0) }

// AdminAddr is where the admin server listens; nil before Start.
func (s *Servers) AdminAddr() net.Addr { return s.addr(1) }

func (s *Servers) addr(i int) net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i >= len(s.listeners) {
		return nil
	}
	return s.listeners[i].Addr()
}

// Shutdown ends both servers, waits for requests under way and for the
// servers' goroutines, and cuts what is left when ctx ends: a peer that does
// not finish its request is no fault of the stop. WebSockets are not theirs
// any more.
func (s *Servers) Shutdown(ctx context.Context) error {
	var public, admin error
	var both sync.WaitGroup
	both.Go(func() { public = s.end(ctx, s.public) })
	both.Go(func() { admin = s.end(ctx, s.admin) })
	both.Wait()
	s.serving.Wait()
	return errors.Join(public, admin)
}

func (s *Servers) end(ctx context.Context, srv *http.Server) error {
	err := srv.Shutdown(ctx)
	if err == nil || ctx.Err() == nil {
		return err
	}
	s.log.Info("cutting HTTP connections that did not end in time")
	return srv.Close()
}

// Notes are what the log says of the settings once everything is served.
type Notes struct {
	Lines []string
	Warn  bool // at level warn, else info
}

// Announce logs what is served where, and the notes.
func (s *Servers) Announce(routes []Route, notes Notes) {
	sorted := slices.SortedFunc(slices.Values(routes), func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Pattern, b.Pattern))
	})
	for _, r := range sorted {
		switch {
		case r.Says == "":
		case r.Port == Admin && !r.Open && !s.keys.Exist():
			s.log.Info("not serving " + r.Says + ": ADMIN_API_KEYS is unset")
		default:
			s.log.Info("serving "+r.Says, zap.String("url", s.url(r)))
		}
	}
	say := s.log.Info
	if notes.Warn {
		say = s.log.Warn
	}
	for _, line := range notes.Lines {
		say(line)
	}
}

// url is where a person finds a route: an address that stands for all is shown
// as localhost.
func (s *Servers) url(r Route) string {
	addr, scheme := s.PublicAddr(), "http"
	if r.Port == Admin {
		addr = s.AdminAddr()
	} else if s.cert != nil {
		scheme = "https"
	}
	if r.WebSocket {
		scheme = map[string]string{"http": "ws", "https": "wss"}[scheme]
	}
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost"
	}
	_, path, found := strings.Cut(r.Pattern, " ")
	if !found {
		path = r.Pattern
	}
	return scheme + "://" + net.JoinHostPort(host, port) + strings.TrimSuffix(path, "{$}")
}
