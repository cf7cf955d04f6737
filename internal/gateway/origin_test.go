package gateway

import (
	"net/http"
	"testing"
)

func from(host string, origins ...string) *http.Request {
	return &http.Request{Host: host, Header: http.Header{"Origin": origins}}
}

func TestUnlistedOrigins(t *testing.T) {
	o, err := newOrigins(nil, Level{OwnOrigins: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, host string
		origin     []string
		want       bool
	}{
		{"no browser", "example.com", nil, true},
		{"loopback to loopback on another port", "localhost:3007", []string{"http://localhost:9007"}, true},
		{"loopback address to loopback name", "localhost:3007", []string{"http://127.0.0.1:9007"}, true},
		{"IPv6 loopback", "[::1]:3007", []string{"http://[::1]:9007"}, true},
		{"a name below localhost", "app.localhost:3007", []string{"http://localhost"}, true},
		{"the very IP literal of the request", "192.168.1.7:3007", []string{"http://192.168.1.7:8080"}, true},
		{"another IP literal", "192.168.1.7:3007", []string{"http://192.168.1.8:8080"}, false},
		{"the same name: it may point anywhere", "app.example:3007", []string{"http://app.example:3007"}, false},
		{"a site to loopback", "localhost:3007", []string{"https://evil.example"}, false},
		{"loopback page to a site", "app.example", []string{"http://localhost:3000"}, false},
		{"a name that begins like loopback", "localhost:3007", []string{"http://localhost.evil.example"}, false},
		{"a name that ends like loopback", "localhost:3007", []string{"http://evillocalhost"}, false},
		{"the opaque origin", "localhost:3007", []string{"null"}, false},
		{"two origins", "localhost:3007", []string{"http://localhost", "http://localhost"}, false},
		{"an empty origin", "localhost:3007", []string{""}, false},
		{"userinfo", "localhost:3007", []string{"http://localhost@evil.example"}, false},
		{"a wildcard", "localhost:3007", []string{"http://*.foo.localhost"}, false},
	} {
		if got := o.allows(from(c.host, c.origin...)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestListedOrigins(t *testing.T) {
	o, err := newOrigins([]string{"https://App.example", "http://app.example:8080", "https://*.shop.example", "capacitor://localhost"}, Level{})
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]bool{
		"https://app.example":                true,
		"https://app.example:443":            true,
		"https://APP.EXAMPLE":                true,
		"http://app.example":                 false,
		"http://app.example:8080":            true,
		"https://app.example:8080":           false,
		"https://a.shop.example":             true,
		"https://a.b.shop.example":           true,
		"https://shop.example":               false,
		"https://evilshop.example":           false,
		"https://a.shop.example.evil":        false,
		"https://a.shop.example:8443":        false,
		"capacitor://localhost":              true,
		"http://localhost":                   false, // not at this level
		"https://app.example/path":           false,
		"https://app.example?x":              false,
		"https://.shop.example":              false,
		"https://evil.example/.shop.example": false,
	} {
		if got := o.allows(from("gateway.example", origin)); got != want {
			t.Errorf("%s: %v", origin, got)
		}
	}
	if o.allows(from("127.0.0.1:1", "http://127.0.0.1:2")) {
		t.Error("the own-machine rule holds at a level without it")
	}
}

func TestAnOriginCanBeRequired(t *testing.T) {
	o, err := newOrigins([]string{"https://app.example"}, Level{OriginRequired: true})
	if err != nil {
		t.Fatal(err)
	}
	if o.allows(from("gateway.example")) || !o.allows(from("gateway.example", "https://app.example")) {
		t.Error("a request without Origin was let in, or one with it was not")
	}
}

func TestBadOriginEntriesAreRefused(t *testing.T) {
	for _, entry := range []string{
		"", "*", "app.example", "https://", "://a", "https://a/b", "https://a b", "https://*", "https://*.", "https://*.example",
		"https://a.*.example", "https://*a.example", "https://a:", "https://a@b", "https://*.*.example", "https://[::1", "https://a:99999999999",
	} {
		if _, err := newOrigins([]string{entry}, Level{}); err == nil {
			t.Errorf("%q was accepted", entry)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	f.Add("https://a.example:1", "localhost:3007")
	f.Add("http://[::1]:1", "[::1]")
	f.Fuzz(func(t *testing.T, origin, host string) {
		o, err := newOrigins([]string{"https://*.shop.example"}, Level{})
		if err != nil {
			t.Fatal(err)
		}
		if o.allows(from(host, origin)) {
			parsed, err := parseOrigin(origin)
			if err != nil || parsed.scheme != "https" || parsed.port != "443" {
				t.Errorf("%q was let in", origin)
			}
		}
	})
}
