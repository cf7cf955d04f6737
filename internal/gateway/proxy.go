package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/moonx-farm/ws-gateway/internal/server"
)

// The headers of which one is believed when a trusted proxy sends it.
const (
	headerForwardedFor = "X-Forwarded-For"
	headerForwarded    = "Forwarded" // RFC 7239
)

// proxies decides whose word on a client's address is believed. Immutable.
type proxies struct {
	trusted []netip.Prefix
	// header is the one that the proxies write. The other is whatever the
	// client wrote, and is not looked at.
	header string
}

// client is where a request comes from.
type client struct {
	addr netip.Addr // invalid when it is not known
	// plain says that the client's own connection is not encrypted.
	plain bool
}

var errProxyHeader = errors.New("want X-Forwarded-For or Forwarded")

func newProxies(list []string, header string) (*proxies, error) {
	p := &proxies{header: http.CanonicalHeaderKey(header)}
	if p.header != headerForwardedFor && p.header != headerForwarded {
		return nil, errProxyHeader
	}
	for _, entry := range list {
		prefix, err := parsePrefix(entry)
		if err != nil {
			return nil, err
		}
		p.trusted = append(p.trusted, prefix)
	}
	return p, nil
}

// parsePrefix reads a CIDR, or an address that stands for itself alone.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, errors.New("want an address or a CIDR such as 10.0.0.0/8")
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("want IPv4 written as such: 10.0.0.0/8")
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("has bits behind its prefix: want %v", p.Masked())
	}
	return p, nil
}

func (p *proxies) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(p.trusted, func(t netip.Prefix) bool { return t.Contains(addr.WithZone("")) })
}

// client tells where a request comes from: its peer, unless that is a trusted
// proxy; then the rightmost address that no trusted proxy has. What stands left
// of that is the client's own invention.
func (p *proxies) client(r *http.Request) client {
	c := client{peerOf(r), plain(r)}
	if !p.trusts(c.addr) {
		return c
	}
	proto := ""
	for _, hop := range slices.Backward(p.hops(r)) {
		proto = hop.proto
		if !hop.addr.IsValid() {
			break // unknown, hidden, or nonsense: what is left of it says nothing
		}
		if c.addr = hop.addr; !p.trusts(hop.addr) {
			break
		}
	}
	if p.header == headerForwardedFor {
		proto = forwardedProto(r)
	}
	// A trusted proxy that does not say is believed to encrypt.
	c.plain = r.TLS == nil && proto != "" && proto != "https" && proto != "wss"
	return c
}

// plain tells whether a connection is not encrypted. One with a PROXY header is
// believed to be, as a trusted proxy is that does not say.
func plain(r *http.Request) bool { return r.TLS == nil && !server.Proxied(r.Context()) }

// hop is what a proxy says of who connected to it.
type hop struct {
	addr  netip.Addr
	proto string // Forwarded alone: in lower case, "" when it is not said
}

// hops are what the believed header says, in its order.
func (p *proxies) hops(r *http.Request) []hop {
	var hops []hop
	for _, line := range r.Header[p.header] {
		for entry := range strings.SplitSeq(line, ",") {
			if p.header == headerForwarded {
				hops = append(hops, parseForwarded(entry))
			} else {
				hops = append(hops, hop{addr: parseNode(entry)})
			}
		}
	}
	return hops
}

// forwardedProto is X-Forwarded-Proto; of several, one that is not encrypted
// counts.
func forwardedProto(r *http.Request) string {
	proto := ""
	for _, line := range r.Header["X-Forwarded-Proto"] {
		for word := range strings.SplitSeq(line, ",") {
			if proto = strings.ToLower(strings.TrimSpace(word)); proto != "https" && proto != "wss" {
				return proto
			}
		}
	}
	return proto
}

// parseForwarded reads one element of Forwarded (RFC 7239 section 4). Quotes
// are not regarded when elements are told apart: no address has a comma, and
// a client's lone quote must not swallow what a proxy has written behind it.
func parseForwarded(element string) hop {
	var h hop
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		value = strings.Trim(value, `"`)
		switch strings.ToLower(name) {
		case "for":
			h.addr = parseNode(value)
		case "proto":
			h.proto = strings.ToLower(value)
		}
	}
	return h
}

// parseNode reads an address with or without port and brackets; invalid when
// it is none.
func parseNode(s string) netip.Addr {
	s = strings.TrimSpace(s)
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap()
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s = s[1 : len(s)-1]
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}

// peerOf is the address at the other end of a request's connection.
func peerOf(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// local tells whether a request comes from this machine, asks for it, and comes
// from nobody behind it: a proxy on the machine speaks for others, and a page
// whose name was made to point here (DNS rebinding) asks for that name.
func local(r *http.Request) bool {
	for name := range r.Header {
		if name == headerForwarded || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") {
			return false
		}
	}
	return !server.Proxied(r.Context()) && peerOf(r).IsLoopback() && loopbackName(strings.TrimSuffix(hostname(r.Host), "."))
}
