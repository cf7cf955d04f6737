package console

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// contentSecurityPolicy allows the page's own files, and one WebSocket source.
func contentSecurityPolicy(socket string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' " + socket +
		"; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
}

// socketSource is the public port's WebSocket as a source of a
// Content-Security-Policy, on the host of a Host header. It is false when that
// is not a hostname or address: the header becomes part of the policy, and
// what is allowed in a Host header includes the policy's own punctuation.
//
// The policy's grammar has no IPv6 addresses (CSP level 3, section 2.3.1):
// there the source is the scheme alone.
func socketSource(cfg Config, hostport string) (string, bool) {
	scheme := "ws:"
	if cfg.TLS {
		scheme = "wss:"
	}
	host := hostname(hostport)
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		return scheme, true
	}
	if host == "" || strings.Trim(host, hostBytes) != "" {
		return "", false
	}
	return scheme + "//" + host + ":" + strconv.Itoa(cfg.PublicPort), true
}

// hostBytes are the bytes of hostnames and IPv4 addresses.
const hostBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

// hostname is a Host header without port and brackets.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}
