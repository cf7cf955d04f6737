package peer

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestEveryFaultOfTheSettingsIsNamed(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	err := Config{URL: "http://user:hush@a", MaxRequests: -1, MaxWebSockets: maxBound + 1}.Validate()
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Fatalf("got %v", err)
	}
	for n, want := range []string{"PEER_URL: want http://", "PEER_MAX_REQUESTS -1: want 1 to 1000000", "PEER_MAX_WEBSOCKETS 1000001: want 1 to 1000000"} {
		if lines := strings.Split(err.Error(), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[n], want) {
			t.Errorf("line %d of %v", n, err)
		}
	}
	if _, err := New(Config{MaxRequests: -1}, Parts{}); err == nil {
		t.Error("made all the same")
	}
	for url, host := range map[string]string{
		"http://gateway-1:9007": "gateway-1", "https://a.example/base/": "a.example", "http://[fd00::1]:9007": "fd00::1",
		"": "", "gateway-1:9007": "", "ws://a": "", "http://": "", "http://a?b": "", "http://a#b": "", "http://" + strings.Repeat("a", maxBase): "", "%": "",
	} {
		c := Config{URL: url}
		if err := c.Validate(); c.Host() != host || (err == nil) != (host != "" || url == "") {
			t.Errorf("%q: host %q, %v", url, c.Host(), err)
		}
	}
}

func TestAnInstanceIsWhereItsAdminPortListens(t *testing.T) {
	own := ownAddress(true)
	if !own.Is4() {
		t.Fatalf("own address %v", own)
	}
	for listens, want := range map[string]string{
		"127.0.0.1:9007":    "http://127.0.0.1:9007",
		"[::1]:9007":        "http://[::1]:9007",
		"10.0.0.5:80":       "http://10.0.0.5:80",
		"0.0.0.0:9007":      "http://" + own.String() + ":9007",
		"[fe80::1%eth0]:90": "http://[fe80::1]:90",
	} {
		at := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(listens))
		if got := Locate(Config{}, func() net.Addr { return at })(); got != want {
			t.Errorf("%s: %s, want %s", listens, got, want)
		}
	}
	any6 := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("[::]:9007"))
	if got := Locate(Config{}, func() net.Addr { return any6 })(); strings.Contains(got, "[::]") || !strings.HasSuffix(got, ":9007") {
		t.Errorf("got %s", got)
	}
	var addr net.Addr
	calls := 0
	where := Locate(Config{}, func() net.Addr { calls++; return addr })
	if got := where(); got != "" {
		t.Errorf("before it listens: %s", got)
	}
	addr = &net.UnixAddr{Name: "/socket", Net: "unix"}
	if got := where(); got != "" {
		t.Errorf("no TCP: %s", got)
	}
	addr = any6
	if first := where(); first == "" || where() != first || calls != 3 {
		t.Errorf("looked %d times", calls)
	}
	if got := Locate(Config{URL: "https://a.example/base/"}, nil)(); got != "https://a.example/base" {
		t.Errorf("given: %s", got)
	}
}
