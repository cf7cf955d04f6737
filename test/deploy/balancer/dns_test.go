package balancer

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// names answers every question of DNS for an address with the same list, as a
// container engine does for a service. Safe for concurrent use.
type names struct {
	conn *net.UDPConn

	mu        sync.Mutex
	addresses []netip.Addr // guarded by mu
}

// serveNames answers until the test ends.
func serveNames(t *testing.T) *names {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	n := &names{conn: conn}
	var serving sync.WaitGroup
	serving.Go(n.serve)
	t.Cleanup(func() { _ = conn.Close(); serving.Wait() })
	return n
}

func (n *names) set(addresses ...netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses = addresses
}

func (n *names) serve() {
	buf := make([]byte, 4096)
	for {
		size, from, err := n.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if answer := n.answer(buf[:size]); answer != nil {
			_, _ = n.conn.WriteToUDPAddrPort(answer, from)
		}
	}
}

const (
	dnsHeader = 12
	dnsTypeA  = 1
	dnsIn     = 1
)

// answer is the reply to a query with one question (RFC 1035 section 4); nil to
// anything else.
func (n *names) answer(query []byte) []byte {
	if len(query) < dnsHeader || binary.BigEndian.Uint16(query[4:]) != 1 {
		return nil
	}
	end := dnsHeader
	for end < len(query) && query[end] != 0 {
		end += int(query[end]) + 1 // over a label
	}
	end += 5 // the empty label, type and class
	if end > len(query) {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.addresses
	if binary.BigEndian.Uint16(query[end-4:]) != dnsTypeA {
		list = nil
	}
	out := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, byte(len(list)), 0, 0, 0, 0}, query[dnsHeader:end]...)
	for _, a := range list {
		out = append(out, 0xc0, dnsHeader, 0, dnsTypeA, 0, dnsIn, 0, 0, 0, 1, 0, 4) // the name again; 1 s to live
		out = append(out, a.AsSlice()...)
	}
	return out
}
