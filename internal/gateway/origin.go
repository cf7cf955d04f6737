package gateway

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// origins decides which browser origins may connect. Immutable.
type origins struct {
	listed   []origin
	own      bool // the rule for an unlisted origin of this very machine
	required bool
}

// origin is a scheme, host and port, all in lower case; port is explicit.
type origin struct {
	scheme, host, port string
	wild               bool // host is what follows "*."
}

func newOrigins(list []string, level Level) (*origins, error) {
	o := &origins{own: level.OwnOrigins, required: level.OriginRequired}
	for _, entry := range list {
		parsed, err := parseOrigin(entry)
		if err != nil {
			return nil, err
		}
		o.listed = append(o.listed, parsed)
	}
	return o, nil
}

// allows tells whether a request may come from where it says. A request
// without Origin is no browser's.
func (o *origins) allows(r *http.Request) bool {
	values := r.Header["Origin"]
	switch len(values) {
	case 0:
		return !o.required
	case 1:
	default:
		return false
	}
	from, err := parseOrigin(values[0])
	if err != nil || from.wild {
		return false
	}
	return o.lists(from) || o.own && sameMachine(from.host, hostname(r.Host))
}

// lists tells whether an origin is one that the operator has named.
func (o *origins) lists(from origin) bool {
	return slices.ContainsFunc(o.listed, func(l origin) bool { return l.matches(from) })
}

// sameMachine tells whether a page's host and the host it connects to are both
// loopback, or the same IP literal. Names are not compared: whoever controls a
// name can let it point anywhere (DNS rebinding).
func sameMachine(page, target string) bool {
	if loopbackName(page) && loopbackName(target) {
		return true
	}
	ip, err := netip.ParseAddr(target)
	if err != nil {
		return false
	}
	from, err := netip.ParseAddr(page)
	return err == nil && ip == from
}

// loopbackName tells whether a host names this machine for everybody:
// localhost and names below it (RFC 6761 section 6.3), and loopback addresses.
func loopbackName(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// hostname is a Host header without port and brackets, in lower case.
func hostname(host string) string {
	u := url.URL{Host: strings.ToLower(host)}
	return u.Hostname()
}

var (
	errOriginForm = errors.New("want scheme://host or scheme://host:port, nothing behind it")
	errOriginWild = errors.New("a wildcard is the whole leftmost label, with at least two labels behind it: https://*.example.com")
)

// parseOrigin reads an origin (RFC 6454 section 7): no path, no userinfo.
func parseOrigin(s string) (origin, error) {
	scheme, rest, ok := strings.Cut(strings.ToLower(strings.TrimSpace(s)), "://")
	if !ok || strings.ContainsAny(rest, "/?#@ \\") {
		return origin{}, errOriginForm
	}
	u, err := url.Parse(scheme + "://" + strings.Replace(rest, "*.", "wildcard.", 1))
	if err != nil || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") {
		return origin{}, errOriginForm
	}
	o := origin{scheme: scheme, host: u.Hostname(), port: u.Port()}
	if o.port == "" {
		o.port = defaultPort(scheme)
	} else if _, err := strconv.ParseUint(o.port, 10, 16); err != nil {
		return origin{}, errOriginForm
	}
	return o.withWild(rest)
}

// withWild reads the wildcard of an origin that was written as rest.
func (o origin) withWild(rest string) (origin, error) {
	if strings.HasPrefix(rest, "*.") {
		o.wild, o.host = true, strings.TrimPrefix(o.host, "wildcard.")
	}
	if strings.Contains(o.host, "*") || strings.Contains(rest, "*") && !o.wild || o.wild && !strings.Contains(o.host, ".") {
		return origin{}, errOriginWild
	}
	return o, nil
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// matches tells whether a listed origin covers another.
func (o origin) matches(from origin) bool {
	if o.scheme != from.scheme || o.port != from.port {
		return false
	}
	if !o.wild {
		return o.host == from.host
	}
	labels, ok := strings.CutSuffix(from.host, "."+o.host)
	return ok && labels != ""
}
