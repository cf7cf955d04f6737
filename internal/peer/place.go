package peer

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
)

// Locate tells other instances where this one is, for cluster.Registry.UsePeer:
// PEER_URL if it is set, else the admin port's address, as listens tells it; ""
// as long as that is nil. An address that stands for all of the machine's
// becomes the one that it has towards the network. Loopback stays: it is reached
// from this machine alone.
func Locate(cfg Config, listens func() net.Addr) func() string {
	if cfg.URL != "" {
		url := strings.TrimRight(cfg.URL, "/")
		return func() string { return url }
	}
	p := &place{listens: listens}
	return p.url
}

// place is where the admin port listens. Safe for concurrent use.
type place struct {
	listens func() net.Addr // immutable

	mu    sync.Mutex
	found string // guarded by mu
}

func (p *place) url() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != "" {
		return p.found
	}
	addr := p.listens()
	if addr == nil {
		return ""
	}
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil { // no TCP port
		return ""
	}
	if at.Addr().IsUnspecified() {
		at = netip.AddrPortFrom(ownAddress(at.Addr().Is4()), at.Port())
	}
	p.found = "http://" + netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port()).String()
	return p.found
}

// ownAddress is the address that this machine has towards the network: that of
// its way to anywhere, else of an interface, else loopback. It sends nothing.
func ownAddress(v4only bool) netip.Addr {
	// Addresses of documentation (RFC 5737, RFC 3849): a UDP socket that is
	// connected to one has chosen its own address, and nothing more.
	ways := []string{"192.0.2.1:9", "[2001:db8::1]:9"}
	if v4only {
		ways = ways[:1]
	}
	for _, way := range ways {
		if addr, ok := towards(way); ok {
			return addr
		}
	}
	if addr, ok := ofInterface(v4only); ok {
		return addr
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// ofInterface is the first address that others can have a way to.
func ofInterface(v4only bool) (netip.Addr, bool) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, false
	}
	for _, one := range all {
		prefix, err := netip.ParsePrefix(one.String())
		if addr := prefix.Addr().Unmap(); err == nil && addr.IsGlobalUnicast() && (addr.Is4() || !v4only) {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// towards is the address that a socket has chosen for its way.
func towards(way string) (netip.Addr, bool) {
	var d net.Dialer
	c, err := d.DialContext(context.Background(), "udp", way)
	if err != nil {
		return netip.Addr{}, false // there is no way
	}
	defer func() { _ = c.Close() }()
	own, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil {
		return netip.Addr{}, false
	}
	addr := own.Addr().Unmap()
	return addr, addr.IsGlobalUnicast()
}
