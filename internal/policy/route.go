package policy

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Limits of routes.
const (
	MaxRoutes           = 1_000
	MaxRouteWildcards   = 100 // routes with a wildcard
	MaxRouteTimeout     = time.Minute
	MaxRouteConcurrency = 10_000
	MaxResponseBytes    = 1 << 20
)

// What a route has unless the document says otherwise.
const (
	routeTimeout     = 5 * time.Second
	routeConcurrency = 64
	responseBytes    = 64 << 10
)

// RouteRule is one entry of routes: where an application event goes. With http
// it goes to a service, with stream into a Redis stream, otherwise it is
// published to the room.
type RouteRule struct {
	Match  string      `yaml:"match"` // the event's name; "*" is one segment between '.', ':' or '/', "**" the rest
	Send   string      `yaml:"send"`  // member, authenticated, anyone; absent: member if it publishes, else authenticated
	Room   string      `yaml:"room"`  // may contain {user}, {connection}, and {1}, {2}, … for what the wildcards stand for
	HTTP   *HTTPRule   `yaml:"http"`
	Stream *StreamRule `yaml:"stream"`
}

// HTTPRule is the service of a route.
type HTTPRule struct {
	URL              string `yaml:"url"`
	Timeout          string `yaml:"timeout"`          // Go duration up to MaxRouteTimeout, attempts together; absent: 5s
	Idempotent       bool   `yaml:"idempotent"`       // the same event may be sent twice
	Concurrency      Whole  `yaml:"concurrency"`      // calls at once, more are refused; absent or 0: 64
	MaxResponseBytes Whole  `yaml:"maxResponseBytes"` // absent or 0: 64 KiB
}

// Upstream is the service of a route. Two that are equal are one.
type Upstream struct {
	URL              string
	Timeout          time.Duration // for all attempts together
	Idempotent       bool
	Concurrency      int
	MaxResponseBytes int
}

// Route says where an event goes. It must not be modified.
type Route struct {
	Match string
	Send  Who // Member, Authenticated or Anyone
	// HTTP and Stream say where the event goes; at most one is set. Without
	// both the event is published to the route's room.
	HTTP   *Upstream
	Stream *Stream

	match pattern
	room  template
}

// Room is the room that an event of a user's connection is about, false for a
// route without one. It need not be a valid name: a wildcard stands for
// whatever the client wrote.
func (r *Route) Room(event, userID, connection string) (string, bool) {
	if r.room == nil {
		return "", false
	}
	return r.room.expand(r.match, event, userID, connection), true
}

// compileRoute checks one entry of routes.
func compileRoute(rule RouteRule) (*Route, error) {
	r := &Route{Match: rule.Match}
	var faults [6]error
	publishes := rule.HTTP == nil && rule.Stream == nil
	fallback := "authenticated"
	if publishes {
		fallback = "member"
	}
	r.Send, faults[0] = choose("send", rule.Send, fallback, []choice[Who]{
		{"member", Member}, {"authenticated", Authenticated}, {"anyone", Anyone}})
	r.match, faults[1] = parseEventPattern(rule.Match)
	r.room, faults[2] = parseTemplate(rule.Room, r.match.wildcards())
	r.HTTP, faults[3] = rule.HTTP.upstream()
	r.Stream, faults[4] = rule.Stream.stream()
	switch {
	case rule.HTTP != nil && rule.Stream != nil:
		faults[5] = errors.New("goes two ways: write http or stream")
	case rule.Room == "" && publishes:
		faults[5] = errors.New("goes nowhere: write http, stream or room")
	case rule.Room == "" && r.Send == Member:
		faults[5] = errors.New("send is member, but the route has no room to be a member of")
	}
	return r, errors.Join(faults[:]...)
}

// upstream checks the service of a route; nil stays nil.
func (h *HTTPRule) upstream() (*Upstream, error) {
	if h == nil {
		return nil, nil
	}
	u := &Upstream{
		URL: h.URL, Timeout: routeTimeout, Idempotent: h.Idempotent,
		Concurrency: routeConcurrency, MaxResponseBytes: responseBytes,
	}
	faults := []error{
		checkURL(h.URL),
		within("concurrency", h.Concurrency, MaxRouteConcurrency, &u.Concurrency),
		within("maxResponseBytes", h.MaxResponseBytes, MaxResponseBytes, &u.MaxResponseBytes),
	}
	if h.Timeout != "" {
		var err error
		if u.Timeout, err = time.ParseDuration(h.Timeout); err != nil || u.Timeout <= 0 || u.Timeout > MaxRouteTimeout {
			faults = append(faults, fmt.Errorf("timeout is %q, must be a duration above 0 and at most %s, such as 5s",
				h.Timeout, MaxRouteTimeout))
		}
	}
	return u, errors.Join(faults...)
}

// within takes a number of a document, if it has one.
func within(key string, n Whole, most int, to *int) error {
	if n < 0 || int(n) > most {
		return fmt.Errorf("%s is %d, must be 1 to %d", key, n, most)
	}
	if n > 0 {
		*to = int(n)
	}
	return nil
}

// checkURL checks the address of a service. Its error shows nothing of it but
// what cannot be a secret.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return errors.New("url is missing")
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.Fragment != "":
		return errors.New("url must be one of http or https with a host, such as https://orders.internal/events")
	case u.User != nil:
		return errors.New("url must hold no user or password: requests are signed")
	}
	return nil
}

// reservedMatch tells of a route that could never be taken.
func reservedMatch(match string) error {
	if wire.Reserved(match) {
		return fmt.Errorf("the event %q is the gateway's own", match)
	}
	return nil
}
