package server

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"go.uber.org/zap"
)

// who answers with where a request comes from; it takes over what is under
// /take, and says what the connection is and what has come behind the request.
func who(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	if r.URL.Path != "/take" {
		_, _ = fmt.Fprintf(w, "%s %v", host, Proxied(r.Context()))
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = conn.Close() }()
	line, _ := rw.ReadString('\n')
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s %T %s", host, conn, line)
}

// behind starts servers that expect the PROXY header of some, and sends what a
// proxy and its client would. It returns the status and the body of the answer.
func behind(t *testing.T, cfg Config, encrypted bool, sent ...string) (int, string) {
	t.Helper()
	cfg.ProxyProtocol, cfg.Host, cfg.AdminHost = true, "127.0.0.1", "127.0.0.1"
	routes := []Route{{Port: Public, Pattern: "/", Handler: http.HandlerFunc(who)}}
	s := New(cfg, routes, keysOf(t, cfg), certificateOf(t, cfg), ListenTCP, func(err error) { t.Error(err) }, zap.NewNop())
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	conn, err := net.Dial("tcp", s.PublicAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if encrypted {
		if _, err := io.WriteString(conn, sent[0]); err != nil {
			t.Fatal(err)
		}
		conn, sent = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}), sent[1:]
	}
	for _, part := range sent {
		if _, err := io.WriteString(conn, part); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// version2 is a header of version 2.
func version2(t *testing.T, command proxyproto.ProtocolVersionAndCommand) string {
	t.Helper()
	h := &proxyproto.Header{
		Version: 2, Command: command, TransportProtocol: proxyproto.TCPv6,
		SourceAddr:      &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 4711},
		DestinationAddr: &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 443},
	}
	if err := h.SetTLVs([]proxyproto.TLV{{Type: 0x04, Value: make([]byte, 300)}}); err != nil {
		t.Fatal(err)
	}
	raw, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const (
	version1 = "PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n"
	request  = "GET / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"
)

func TestAProxyOwnProtocolTellsTheClientsAddress(t *testing.T) {
	trusting := Config{TrustedProxies: []string{"127.0.0.0/8"}}
	for name, c := range map[string]struct {
		cfg    Config
		sent   []string
		status int
		body   string
	}{
		"version 1":                            {trusting, []string{version1 + request}, 200, "203.0.113.7 true"},
		"the request comes later":              {trusting, []string{version1, request}, 200, "203.0.113.7 true"},
		"version 2 in pieces":                  {trusting, []string{version2(t, proxyproto.PROXY)[:20], version2(t, proxyproto.PROXY)[20:] + request}, 200, "2001:db8::7 true"},
		"version 2 with more in it":            {trusting, []string{version2(t, proxyproto.PROXY) + request}, 200, "2001:db8::7 true"},
		"the proxy's own check, version 2":     {trusting, []string{version2(t, proxyproto.LOCAL) + request}, 200, "127.0.0.1 true"},
		"the proxy's own check, version 1":     {trusting, []string{"PROXY UNKNOWN\r\n" + request}, 200, "127.0.0.1 true"},
		"a single address is trusted":          {Config{TrustedProxies: []string{"127.0.0.1"}}, []string{version1 + request}, 200, "203.0.113.7 true"},
		"a trusted proxy without a header":     {trusting, []string{request}, 400, "400 Bad Request"},
		"a header that is none":                {trusting, []string{"PROXY TCP4 here there 1 2\r\n" + request}, 400, "400 Bad Request"},
		"another peer without a header":        {Config{TrustedProxies: []string{"192.0.2.1"}}, []string{request}, 200, "127.0.0.1 false"},
		"another peer makes up a header":       {Config{TrustedProxies: []string{"192.0.2.1"}}, []string{version1 + request}, 400, "400 Bad Request"},
		"two headers, the second a client's":   {trusting, []string{version1 + version1 + request}, 400, "400 Bad Request"},
		"the connection is taken, with frames": {trusting, []string{version1 + strings.Replace(request, "/ ", "/take ", 1) + "frame\n"}, 200, "203.0.113.7 *net.TCPConn frame\n"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := behind(t, c.cfg, false, c.sent...)
			if status != c.status || body != c.body {
				t.Errorf("%d %q, want %d %q", status, body, c.status, c.body)
			}
		})
	}
}

func TestTLSBeginsBehindTheHeader(t *testing.T) {
	cfg := Config{TrustedProxies: []string{"127.0.0.1"}}
	cfg.TLSCertFile, cfg.TLSKeyFile = issue(t, t.TempDir(), "gateway.example")
	for name, want := range map[string]string{"/": "203.0.113.7 true", "/take": "203.0.113.7 *tls.Conn frame\n"} {
		status, body := behind(t, cfg, true, version1, strings.Replace(request, "/ ", name+" ", 1)+"frame\n")
		if status != http.StatusOK || body != want {
			t.Errorf("%s: %d %q", name, status, body)
		}
	}
}

func TestAHeaderThatDoesNotComeInTimeEndsTheConnection(t *testing.T) {
	if status, _ := behind(t, Config{TrustedProxies: []string{"127.0.0.1"}, HandshakeTimeout: 50 * time.Millisecond}, false, "PROXY "); status != http.StatusBadRequest {
		t.Error(status)
	}
}

func TestThePROXYProtocolWantsProxies(t *testing.T) {
	cfg := Config{Port: 1, AdminPort: 2, ProxyProtocol: true}
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "PROXY_PROTOCOL") {
		t.Error(err)
	}
	cfg.TrustedProxies = []string{"127.0.0.1"}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
}
