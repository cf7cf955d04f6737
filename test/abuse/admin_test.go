package abuse

import (
	"net/http"
	"strings"
	"testing"
)

func TestOtherSitesDoNothingOnTheAdminPort(t *testing.T) {
	a := start(t, open)
	const (
		evil    = "Origin: https://evil.example"
		key     = "Authorization: Bearer " + adminKey
		publish = "/api/v1/rooms/lobby/publish"
	)
	abuse := func() {
		for _, c := range []struct {
			name, method, path string
			headers            []string
			status             int
		}{
			{"a rebound name reads metrics", "GET", "/metrics", []string{"Host: rebound.example"}, http.StatusMisdirectedRequest},
			{"a rebound name reads health", "GET", "/health", []string{"Host: rebound.example:9007"}, http.StatusMisdirectedRequest},
			{"a rebound name reads the page", "GET", "/", []string{"Host: rebound.example"}, http.StatusMisdirectedRequest},
			{"a rebound name with a key", "POST", publish, []string{"Host: rebound.example", key}, http.StatusMisdirectedRequest},
			{"a site without a key", "POST", publish, []string{evil}, http.StatusForbidden},
			{"a site with a key", "POST", publish, []string{evil, key}, http.StatusForbidden},
			{"the opaque origin", "POST", publish, []string{"Origin: null", key}, http.StatusForbidden},
			{"a site whose browser says so", "POST", publish, []string{"Sec-Fetch-Site: cross-site", key}, http.StatusForbidden},
			{"a form of a site", "POST", publish, []string{evil, "Content-Type: text/plain"}, http.StatusForbidden},
			{"a site asks before", "OPTIONS", publish, []string{evil, "Access-Control-Request-Method: POST"}, 0},
			{"no key", "POST", publish, nil, http.StatusUnauthorized},
			{"a wrong key", "POST", publish, []string{key + "x"}, http.StatusUnauthorized},
			{"profiles without a key", "GET", "/debug/pprof/heap", []string{evil}, http.StatusUnauthorized},
		} {
			status, header := a.ask(t, c.method, c.path, c.headers...)
			if c.status != 0 && status != c.status || status/100 == 2 {
				t.Errorf("%s: status %d, want %d", c.name, status, c.status)
			}
			for name := range header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s: %s: %s", c.name, name, header.Get(name))
				}
			}
		}
	}
	before := a.baseline(t, abuse)
	for range 20 {
		abuse()
	}
	a.settled(t, before)
	if _, header := a.ask(t, "GET", "/metrics", evil); len(header["Access-Control-Allow-Origin"]) > 0 {
		t.Error("another site may read metrics")
	}
}

// ask asks the admin port.
func (a *app) ask(t *testing.T, method, path string, headers ...string) (int, http.Header) {
	t.Helper()
	body := ""
	if method == http.MethodPost {
		body = `{"event":"chat","data":{}}`
	}
	status, header, _ := exchange(t, method, a.admin, path, body, headers...)
	return status, header
}
