package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"
)

// proxyListener reads the PROXY header (versions 1 and 2 of HAProxy's
// specification) that trusted proxies write in front of each connection. Theirs
// must have one: a balancer that writes none would pass on whatever header its
// clients have made up. What others write is theirs, and no header.
type proxyListener struct {
	net.Listener
	trusted []netip.Prefix
	timeout time.Duration // for the header
}

// Accept implements net.Listener. It does not wait for the header.
func (l *proxyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok && l.trusts(c.RemoteAddr()) {
		return &proxied{TCPConn: tcp, timeout: l.timeout}, nil
	}
	return c, nil
}

func (l *proxyListener) trusts(addr net.Addr) bool {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return false
	}
	ip := ap.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(l.trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// prefixes reads a list of addresses and CIDRs; it leaves out what is neither,
// which whoever owns the list has named.
func prefixes(list []string) []netip.Prefix {
	var all []netip.Prefix
	for _, entry := range list {
		if addr, err := netip.ParseAddr(entry); err == nil {
			addr = addr.Unmap().WithZone("")
			all = append(all, netip.PrefixFrom(addr, addr.BitLen()))
		} else if p, err := netip.ParsePrefix(entry); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// proxied is a connection of a trusted proxy. It is the client's own once the
// header has been read, by the first call that needs it: in the goroutine of the
// connection, and not in that which accepts.
type proxied struct {
	*net.TCPConn
	timeout time.Duration // immutable

	once sync.Once
	from net.Addr // written by once: the client's address, nil as long as it is the proxy's own
	err  error    // written by once

	// rest is what came behind the header, nil once it has been read. Owned by
	// whoever reads from the connection.
	rest *bufio.Reader
}

// header reads the header, once.
func (c *proxied) header() error {
	c.once.Do(func() {
		if c.err = c.TCPConn.SetReadDeadline(time.Now().Add(c.timeout)); c.err != nil {
			return
		}
		r := bufio.NewReader(c.TCPConn)
		h, err := proxyproto.Read(r)
		if err != nil {
			c.err = fmt.Errorf("read the PROXY header of %v: %w", c.TCPConn.RemoteAddr(), err)
			return
		}
		if !h.Command.IsLocal() && h.SourceAddr != nil {
			c.from = h.SourceAddr
		}
		if r.Buffered() > 0 {
			c.rest = r
		}
		c.err = c.TCPConn.SetReadDeadline(time.Time{})
	})
	return c.err
}

// RemoteAddr is the client's address, as the proxy says.
func (c *proxied) RemoteAddr() net.Addr {
	if err := c.header(); err != nil || c.from == nil {
		return c.TCPConn.RemoteAddr()
	}
	return c.from
}

// Read reads what follows the header.
func (c *proxied) Read(p []byte) (int, error) {
	if err := c.header(); err != nil {
		return 0, err
	}
	if c.rest == nil {
		return c.TCPConn.Read(p)
	}
	n, err := c.rest.Read(p[:min(len(p), c.rest.Buffered())])
	if c.rest.Buffered() == 0 {
		c.rest = nil
	}
	return n, err
}

type proxiedKey struct{}

// Proxied tells whether a request came over a connection with a PROXY header:
// its RemoteAddr is what a trusted proxy says, who has the client's connection.
func Proxied(ctx context.Context) bool { return ctx.Value(proxiedKey{}) != nil }

// behindProxy marks the requests of such connections.
func behindProxy(ctx context.Context, c net.Conn) context.Context {
	if holder, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = holder.NetConn() // below TLS
	}
	if _, ok := c.(*proxied); ok {
		return context.WithValue(ctx, proxiedKey{}, true)
	}
	return ctx
}

// bare gives those who take a connection over the TCP connection itself: it can
// be parked, and what proxied holds is free.
func bare(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if Proxied(r.Context()) && r.TLS == nil {
			w = unwrapping{w}
		}
		next.ServeHTTP(w, r)
	})
}

// unwrapping is a ResponseWriter whose Hijack unwraps.
type unwrapping struct{ http.ResponseWriter }

var _ http.Hijacker = unwrapping{}

// Unwrap is for http.ResponseController.
func (w unwrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

var errRest = errors.New("what the client has sent is not read yet")

// Hijack implements http.Hijacker.
func (w unwrapping) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if c, ok := conn.(*proxied); ok {
		if c.rest != nil { // cannot be: the head of the request came behind it
			return nil, nil, errors.Join(errRest, conn.Close())
		}
		conn = c.TCPConn
	}
	return conn, rw, nil
}

// checkProxies tells what is wrong with the settings of the PROXY protocol.
func (c Config) checkProxies() error {
	if c.ProxyProtocol && len(c.TrustedProxies) == 0 {
		return errors.New("PROXY_PROTOCOL true: want the proxies that write it in TRUSTED_PROXIES")
	}
	return nil
}
