package gateway

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestWhomARequestComesFrom(t *testing.T) {
	const proxy, inner = "10.0.0.1:1", "10.9.9.9"
	for _, c := range []struct {
		name, header, peer string
		values             []string
		want               string // "" is unknown
	}{
		{name: "nobody between", peer: "203.0.113.9:1", want: "203.0.113.9"},
		{name: "an untrusted peer's word", peer: "203.0.113.9:1", values: []string{"198.51.100.1"}, want: "203.0.113.9"},
		{name: "a proxy's word", peer: proxy, values: []string{"198.51.100.1"}, want: "198.51.100.1"},
		{name: "a proxy that says nothing", peer: proxy, want: "10.0.0.1"},
		{name: "a client's invention left of the proxy's word", peer: proxy, values: []string{"1.1.1.1, 198.51.100.1"}, want: "198.51.100.1"},
		{name: "a chain of proxies", peer: proxy, values: []string{"1.1.1.1, 198.51.100.1, " + inner}, want: "198.51.100.1"},
		{name: "a chain over several lines", peer: proxy, values: []string{"1.1.1.1", "198.51.100.1", inner}, want: "198.51.100.1"},
		{name: "a request from among the proxies", peer: proxy, values: []string{inner}, want: inner},
		{name: "an invention that names a proxy", peer: proxy, values: []string{inner + ", 198.51.100.1"}, want: "198.51.100.1"},
		{name: "nonsense next to the proxy", peer: proxy, values: []string{"198.51.100.1, nonsense"}, want: "10.0.0.1"},
		{name: "nonsense behind an inner proxy", peer: proxy, values: []string{"1.1.1.1, unknown, " + inner}, want: inner},
		{name: "an empty entry", peer: proxy, values: []string{"198.51.100.1, "}, want: "10.0.0.1"},
		{name: "ports", peer: proxy, values: []string{"198.51.100.1:8080"}, want: "198.51.100.1"},
		{name: "IPv6 with brackets and port", peer: proxy, values: []string{"[2001:db8::1]:8080"}, want: "2001:db8::1"},
		{name: "IPv6 with brackets", peer: proxy, values: []string{"[2001:db8::1]"}, want: "2001:db8::1"},
		{name: "IPv4 in IPv6", peer: "[::ffff:10.0.0.1]:1", values: []string{"::ffff:198.51.100.1"}, want: "198.51.100.1"},
		{name: "a trusted IPv6 network", peer: "[fd00::5]:1", values: []string{"198.51.100.1"}, want: "198.51.100.1"},
		{name: "a trusted address alone", peer: "192.0.2.7:1", values: []string{"198.51.100.1"}, want: "198.51.100.1"},
		{name: "its neighbour", peer: "192.0.2.8:1", values: []string{"198.51.100.1"}, want: "192.0.2.8"},
		{name: "a peer without an address", peer: "@", values: []string{"198.51.100.1"}, want: ""},

		{name: "the header that the proxies do not write", header: "forwarded", peer: proxy, values: nil, want: "10.0.0.1"},
		{name: "Forwarded", header: "forwarded", peer: proxy, values: []string{"for=198.51.100.1;proto=https;by=10.0.0.1"}, want: "198.51.100.1"},
		{name: "Forwarded in IPv6", header: "forwarded", peer: proxy, values: []string{`FOR="[2001:db8::1]:4711"`}, want: "2001:db8::1"},
		{name: "Forwarded by a chain", header: "forwarded", peer: proxy, values: []string{"for=1.1.1.1, for=198.51.100.1, for=" + inner}, want: "198.51.100.1"},
		{name: "a lone quote of the client", header: "forwarded", peer: proxy, values: []string{`for="`, `for=198.51.100.1`}, want: "198.51.100.1"},
		{name: "a hidden client", header: "forwarded", peer: proxy, values: []string{"for=1.1.1.1, for=_hidden"}, want: "10.0.0.1"},
	} {
		header := c.header
		if header == "" {
			header = headerForwardedFor
		}
		p, err := newProxies([]string{"10.0.0.0/8", "fd00::/8", "192.0.2.7"}, header)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{http.CanonicalHeaderKey(header): c.values}}
		if header != headerForwardedFor {
			r.Header[headerForwardedFor] = []string{"6.6.6.6"} // the client's own
		}
		var want netip.Addr
		if c.want != "" {
			want = netip.MustParseAddr(c.want)
		}
		if got := p.client(r).addr; got != want {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
	}
}

func TestWhoseConnectionIsPlain(t *testing.T) {
	const proxy, stranger = "10.0.0.1:1", "203.0.113.9:1"
	for _, c := range []struct {
		name, header, peer string
		lines              []string
		tls, plain         bool
	}{
		{name: "plain HTTP", peer: stranger, plain: true},
		{name: "TLS in the process", peer: stranger, tls: true},
		{name: "a stranger's word", peer: stranger, lines: []string{"X-Forwarded-Proto: https", "X-Forwarded-For: 1.1.1.1"}, plain: true},
		{name: "a proxy that says https", peer: proxy, lines: []string{"X-Forwarded-Proto: HTTPS", "X-Forwarded-For: 1.1.1.1"}},
		{name: "a proxy that says http", peer: proxy, lines: []string{"X-Forwarded-Proto: http", "X-Forwarded-For: 1.1.1.1"}, plain: true},
		{name: "a proxy that says ws", peer: proxy, lines: []string{"X-Forwarded-Proto: ws", "X-Forwarded-For: 1.1.1.1"}, plain: true},
		{name: "a proxy that says both", peer: proxy, lines: []string{"X-Forwarded-Proto: http, https", "X-Forwarded-For: 1.1.1.1"}, plain: true},
		{name: "a proxy that says it of nobody", peer: proxy, lines: []string{"X-Forwarded-Proto: http"}, plain: true},
		{name: "a proxy that says nothing of it", peer: proxy, lines: []string{"X-Forwarded-For: 1.1.1.1"}},
		{name: "Forwarded: the client's own connection counts", header: "Forwarded", peer: proxy,
			lines: []string{"Forwarded: for=1.1.1.1;proto=https, for=10.0.0.2;proto=http"}},
		{name: "Forwarded: plain outside", header: "Forwarded", peer: proxy,
			lines: []string{"Forwarded: for=1.1.1.1;proto=http, for=10.0.0.2;proto=https"}, plain: true},
		{name: "Forwarded: what is left of the client is its invention", header: "Forwarded", peer: proxy,
			lines: []string{"Forwarded: for=6.6.6.6;proto=https, for=1.1.1.1;proto=http"}, plain: true},
	} {
		header := c.header
		if header == "" {
			header = headerForwardedFor
		}
		p, err := newProxies([]string{"10.0.0.0/8"}, header)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{}}
		for _, line := range c.lines {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Add(name, value)
		}
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if got := p.client(r).plain; got != c.plain {
			t.Errorf("%s: plain %v", c.name, got)
		}
	}
}

func TestBadProxyEntriesAreRefused(t *testing.T) {
	for _, entry := range []string{"", "proxy.example", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0-10.0.0.9", "::ffff:10.0.0.0/104", "*"} {
		if _, err := newProxies([]string{entry}, headerForwardedFor); err == nil {
			t.Errorf("%q was accepted", entry)
		}
	}
	if _, err := newProxies(nil, "X-Real-IP"); err == nil {
		t.Error("another header was accepted")
	}
}

// Whatever an untrusted client writes, it is not believed.
func FuzzForwarded(f *testing.F) {
	f.Add("1.1.1.1, [::1]:8", "for=1.1.1.1;proto=https")
	f.Add(`", unknown`, `for="`)
	f.Fuzz(func(t *testing.T, list, forwarded string) {
		for _, header := range []string{headerForwardedFor, headerForwarded} {
			p, err := newProxies([]string{"10.0.0.0/8"}, header)
			if err != nil {
				t.Fatal(err)
			}
			r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{
				headerForwardedFor: {list, "198.51.100.1"},
				headerForwarded:    {forwarded, "for=198.51.100.1;proto=http"},
			}}
			if c := p.client(r); c.addr != netip.MustParseAddr("198.51.100.1") {
				t.Errorf("%s: %v", header, c)
			}
		}
	})
}
