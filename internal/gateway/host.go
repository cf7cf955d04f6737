package gateway

import (
	"errors"
	"net/netip"
	"strings"
)

// hosts are the names under which the gateway may be asked for an upgrade;
// none: under any. Immutable.
type hosts []string

var errHostForm = errors.New("want a name, *.name or an address, without scheme and port")

func newHosts(list []string) (hosts, error) {
	var all hosts
	for _, entry := range list {
		name := strings.ToLower(entry)
		rest := strings.TrimPrefix(name, "*.")
		_, err := netip.ParseAddr(name)
		if err != nil && (rest == "" || strings.ContainsAny(rest, "*/:@?# \\")) {
			return nil, errHostForm
		}
		all = append(all, name)
	}
	return all, nil
}

// allows tells whether a Host header names the gateway. Its port does not
// count.
func (h hosts) allows(host string) bool {
	if len(h) == 0 {
		return true
	}
	name := strings.TrimSuffix(hostname(host), ".")
	for _, entry := range h {
		suffix, wild := strings.CutPrefix(entry, "*")
		if name == entry || wild && len(name) > len(suffix) && strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}
