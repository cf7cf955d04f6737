package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "0123456789abcdef"

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
}

func routes() []Route {
	return []Route{
		{Port: Public, Pattern: "/ws", Handler: text("socket"), WebSocket: true, Says: "gateway.v1"},
		{Port: Admin, Pattern: "GET /metrics", Handler: text("metrics"), Open: true, Says: "metrics"},
		{Port: Admin, Pattern: "/api/v1/", Handler: text("api")},
	}
}

func start(t *testing.T, cfg Config, log *zap.Logger) *Servers {
	t.Helper()
	cfg.Host, cfg.AdminHost = "127.0.0.1", "127.0.0.1"
	s := New(cfg, routes(), keysOf(t, cfg), certificateOf(t, cfg), ListenTCP, func(err error) { t.Error(err) }, log)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func get(t *testing.T, url, host, bearer string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}

func TestTheAdminPortAsksForAKeyAndForAKnownHost(t *testing.T) {
	s := start(t, Config{AdminKeys: []string{key, "another key, newer"}, AdminAllowedHosts: []string{"Admin.example"}}, zap.NewNop())
	public, admin := "http://"+s.PublicAddr().String(), "http://"+s.AdminAddr().String()
	for _, c := range []struct {
		url, host, key string
		status         int
	}{
		{public + "/ws", "", "", 200},
		{public + "/metrics", "", "", 404},
		{public + "/api/v1/", "", key, 404},
		{admin + "/metrics", "", "", 200},
		{admin + "/ws", "", "", 404},
		{admin + "/api/v1/", "", "", 401},
		{admin + "/api/v1/", "", "0123456789abcdeX", 401},
		{admin + "/api/v1/", "", key, 200},
		{admin + "/api/v1/", "", "another key, newer", 200},
		{admin + "/metrics", "evil.example", "", 421},
		{admin + "/metrics", "evil.example:9007", "", 421},
		{admin + "/api/v1/", "evil.example", key, 421},
		{admin + "/metrics", "admin.example:9007", "", 200},
		{admin + "/metrics", "localhost:9007", "", 200},
		{admin + "/metrics", "10.1.2.3:9007", "", 200},
		{admin + "/metrics", "[::1]:9007", "", 200},
		{admin + "/metrics", "localhost.evil.example", "", 421},
	} {
		if status, body := get(t, c.url, c.host, c.key); status != c.status {
			t.Errorf("%s as %q with key %v: %d %q", c.url, c.host, c.key != "", status, body)
		}
	}
}

func TestAKeyIsMadeUpOnLoopbackAlone(t *testing.T) {
	local, far := keysOf(t, Config{AdminHost: "127.0.0.1"}), keysOf(t, Config{AdminHost: "0.0.0.0"})
	if len(local.Generated()) < 26 || !local.Exist() {
		t.Errorf("loopback: %q", local.Generated())
	}
	if far.Generated() != "" || far.Exist() {
		t.Errorf("elsewhere: %q", far.Generated())
	}
	set := keysOf(t, Config{AdminHost: "localhost", AdminKeys: []string{key}})
	if set.Generated() != "" {
		t.Error("a key was made up although one was given")
	}
	ln := httptestGuard(far)
	if status := ln("Bearer x"); status != 403 {
		t.Errorf("without keys the admin API answers %d", status)
	}
	if status := httptestGuard(local)("Bearer " + local.Generated()); status != 200 {
		t.Errorf("the made-up key got %d", status)
	}
}

func httptestGuard(k *Keys) func(auth string) int {
	return func(auth string) int {
		w := &recorder{header: http.Header{}, status: 200}
		k.guard(text("ok")).ServeHTTP(w, &http.Request{Header: http.Header{"Authorization": {auth}}})
		return w.status
	}
}

type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
func (r *recorder) WriteHeader(status int)      { r.status = status }

func TestNothingIsServedUnlessBothPortsCanBe(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	var free net.Listener
	listen := func(ctx context.Context, network, address string) (net.Listener, error) {
		ln, err := ListenTCP(ctx, network, address)
		if err == nil {
			free = ln
		}
		return ln, err
	}
	cfg := Config{Host: "127.0.0.1", AdminHost: "127.0.0.1"}
	if _, err := fmt.Sscan(port, &cfg.AdminPort); err != nil {
		t.Fatal(err)
	}
	s := New(cfg, routes(), &Keys{}, nil, listen, func(error) {}, zap.NewNop())
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "ADMIN_PORT") {
		t.Errorf("got %v", err)
	}
	if _, err := free.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error("the public port is still open")
	}
}

func TestTheLogSaysWhatIsServedWhere(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	s := start(t, Config{}, zap.New(core))
	s.Announce(routes(), Notes{Lines: []string{"development identities"}, Warn: true})
	var lines []string
	for _, e := range logs.All() {
		lines = append(lines, fmt.Sprint(e.Level, " ", e.Message, " ", e.ContextMap()["url"]))
	}
	_, public, _ := net.SplitHostPort(s.PublicAddr().String())
	_, admin, _ := net.SplitHostPort(s.AdminAddr().String())
	want := []string{
		"info serving gateway.v1 ws://localhost:" + public + "/ws",
		"info serving metrics http://localhost:" + admin + "/metrics",
		"warn development identities <nil>",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(lines, "\n"))
	}
}

func TestTheLogSaysWhatNobodyHasAKeyFor(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	guarded := []Route{{Port: Admin, Pattern: "/api/v1/", Handler: text("api"), Says: "the API"}}
	s := New(Config{}, guarded, &Keys{}, nil, ListenTCP, func(error) {}, zap.New(core))
	s.Announce(guarded, Notes{})
	if got := logs.All(); len(got) != 1 || got[0].Message != "not serving the API: ADMIN_API_KEYS is unset" {
		t.Errorf("got %+v", got)
	}
}

func TestAPanicOfAHandlerIsAnErrorInTheLog(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	s := New(Config{}, nil, &Keys{}, nil, ListenTCP, func(error) {}, zap.New(core))
	broken := errors.New("broken")
	for _, c := range []struct {
		panic  error
		logged int
	}{{broken, 1}, {nil, 0}} {
		func() {
			defer func() {
				if v, _ := recover().(error); !errors.Is(v, c.panic) {
					t.Errorf("net/http sees %v", v)
				}
			}()
			s.reporting(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				if c.panic != nil {
					panic(c.panic)
				}
			})).ServeHTTP(nil, &http.Request{})
		}()
		if n := len(logs.TakeAll()); n != c.logged {
			t.Errorf("%v: %d lines at level error", c.panic, n)
		}
	}
}

// issue writes a certificate for a name, valid for an hour.
func issue(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestTLSSpeaksHTTP1Alone(t *testing.T) {
	cfg := Config{}
	cfg.TLSCertFile, cfg.TLSKeyFile = issue(t, t.TempDir(), "gateway.example")
	s := start(t, cfg, zap.NewNop())
	if status, body := get(t, "https://"+s.PublicAddr().String()+"/ws", "", ""); status != 200 || body != "socket" {
		t.Errorf("%d %q", status, body)
	}
	conn, err := tls.Dial("tcp", s.PublicAddr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if p := conn.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		t.Errorf("negotiated %q", p)
	}
}

func TestAChangedCertificateIsTakenAndABadOneIsNot(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := issue(t, dir, "old.example")
	c := certificateOf(t, Config{TLSCertFile: certFile, TLSKeyFile: keyFile})
	expect := func(want string) {
		t.Helper()
		got, err := c.get(nil)
		if err != nil || got.Leaf.DNSNames[0] != want {
			t.Errorf("the certificate is of %v, %v", got.Leaf.DNSNames, err)
		}
	}
	expect("old.example")
	issue(t, dir, "new.example")
	if err := c.load(); err != nil {
		t.Error(err)
	}
	expect("new.example")
	if err := os.WriteFile(certFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c.load() == nil {
		t.Error("a bad certificate was not said to be bad")
	}
	expect("new.example")
}

func TestKeysOfAFileAreReplacedWithoutARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const old, next = "old-key-of-the-file", "next-key-of-the-file"
	put("# rotated monthly\n\n  " + old + "  \r\n")
	k := keysOf(t, Config{AdminHost: "127.0.0.1", AdminKeys: []string{key}, AdminKeysFile: path})
	expect := func(what string, want map[string]int) {
		t.Helper()
		for token, status := range want {
			if got := httptestGuard(k)("Bearer " + token); got != status {
				t.Errorf("%s: %q got %d", what, token, got)
			}
		}
	}
	if k.Generated() != "" {
		t.Error("a key was made up beside those of the file")
	}
	expect("at first", map[string]int{key: 200, old: 200, next: 401, "# rotated monthly": 401, "": 401})
	put(old + "\n" + next + "\n")
	if err := k.load(); err != nil {
		t.Fatal(err)
	}
	expect("both", map[string]int{key: 200, old: 200, next: 200})
	put(next)
	if err := k.load(); err != nil {
		t.Fatal(err)
	}
	expect("replaced", map[string]int{key: 200, old: 401, next: 200})
	for what, text := range map[string]string{
		"empty": "", "of comments": "# none\n", "with a short key": next + "\nshort\n", "too large": strings.Repeat("#", keyFileBytes+1),
	} {
		put(text)
		if err := k.load(); err == nil || strings.Contains(err.Error(), "short\n") || strings.Contains(err.Error(), next) {
			t.Errorf("a file %s: %v", what, err)
		}
		expect("a file "+what, map[string]int{key: 200, next: 200})
	}
}

func certificateOf(t *testing.T, c Config) *Certificate {
	t.Helper()
	cert, err := NewCertificate(c)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// keysOf makes keys that must load.
func keysOf(t *testing.T, c Config) *Keys {
	t.Helper()
	k, err := NewKeys(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestBadSettingsAreAllNamed(t *testing.T) {
	certFile, keyFile := issue(t, t.TempDir(), "a.example")
	if err := (Config{Port: 1, AdminPort: 2, TLSCertFile: certFile, TLSKeyFile: keyFile}).Validate(); err != nil {
		t.Error(err)
	}
	for want, c := range map[string]Config{
		"PORT -1": {Port: -1}, "ADMIN_PORT 65536": {AdminPort: 65536}, "two ports": {Port: 5, AdminPort: 5},
		"set both": {TLSCertFile: certFile}, "key 2 has fewer": {AdminKeys: []string{key, "short"}},
		"no such file": {TLSCertFile: "/nowhere", TLSKeyFile: "/nowhere"},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "short") {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestARequestThatDoesNotEndIsCutAndIsNoFaultOfTheStop(t *testing.T) {
	s := New(Config{Host: "127.0.0.1", AdminHost: "127.0.0.1"}, routes(), &Keys{}, nil, ListenTCP, func(err error) { t.Error(err) }, zap.NewNop())
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var peers []net.Conn
	for _, addr := range []net.Addr{s.PublicAddr(), s.AdminAddr()} {
		for _, begin := range []string{"", "GET /metrics HTTP/1.1\r\nHost: "} {
			peer, err := net.Dial("tcp", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = peer.Close() }()
			if _, err := io.WriteString(peer, begin); err != nil {
				t.Fatal(err)
			}
			peers = append(peers, peer)
		}
		if status, _ := get(t, "http://"+addr.String()+"/", "", ""); status != 404 {
			t.Fatal(status) // answered, so that what came before was accepted
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("the stop has the fault %v", err)
	}
	for i, peer := range peers {
		if _, err := peer.Read(make([]byte, 1)); err == nil {
			t.Errorf("connection %d got an answer", i)
		}
	}
}

func TestAServerThatEndsByItselfIsReported(t *testing.T) {
	broken := errors.New("accept: broken")
	reports := make(chan error, 2)
	listen := func(context.Context, string, string) (net.Listener, error) { return &brokenListener{err: broken}, nil }
	s := New(Config{}, nil, &Keys{}, nil, listen, func(err error) { reports <- err }, zap.NewNop())
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-reports; !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

type brokenListener struct {
	err error
}

func (l *brokenListener) Accept() (net.Conn, error) { return nil, l.err }
func (l *brokenListener) Close() error              { return nil }
func (l *brokenListener) Addr() net.Addr            { return &net.TCPAddr{} }
