package abuse

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAHandshakeWithABodyIsRefused(t *testing.T) {
	a := start(t, open)
	abuse := func() {
		for _, body := range []string{
			"Content-Length: 5\r\n\r\nhello",
			"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
			"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", // a smuggler's
		} {
			p := a.peer(t)
			p.say(t, handshake+body)
			if status := p.answer(t); status != http.StatusBadRequest {
				t.Errorf("%q: status %d", body, status)
			}
			p.say(t, handshake+"\r\n")
			if status := p.answer(t); status != 0 {
				t.Errorf("%q: the connection went on, and answered %d", body, status)
			}
			_ = p.Close()
		}
	}
	before := a.baseline(t, abuse)
	for range 20 {
		abuse()
	}
	a.settled(t, before)
}

func TestHugeHeadersAreRefused(t *testing.T) {
	a := start(t, open)
	long := strings.Repeat("x", 64<<10)
	abuse := func() {
		for _, header := range []string{
			"X-Long: " + long + "\r\n\r\n",
			strings.Repeat("X-Many: 1\r\n", 8<<10) + "\r\n",
			"Sec-WebSocket-Protocol: gateway.v1, gateway.v1.bearer." + long + "\r\n\r\n",
			"Authorization: Bearer " + long + "\r\n\r\n",
		} {
			p := a.peer(t)
			p.say(t, handshake+header)
			// What is not read any more may take the answer with it.
			if status := p.answer(t); status != http.StatusRequestHeaderFieldsTooLarge && status != 0 {
				t.Errorf("%.20q: status %d", header, status)
			}
			_ = p.Close()
		}
	}
	before := a.baseline(t, abuse)
	for range 20 {
		abuse()
	}
	a.settled(t, before)
}

func TestANeverEndingHandshakeIsCut(t *testing.T) {
	a := start(t, open, "HANDSHAKE_TIMEOUT=1s")
	abuse := func(n int) {
		stop := make(chan struct{})
		var drips sync.WaitGroup
		var peers []*peer
		for i := range n {
			p := a.peer(t)
			peers = append(peers, p)
			switch i % 3 {
			case 0: // says nothing
			case 1: // says half
				p.say(t, handshake)
			case 2: // says a byte now and then, for ever
				drips.Go(func() { drip(p, stop) })
			}
		}
		for i, p := range peers {
			if status := p.answer(t); status != 0 {
				t.Errorf("handshake %d was answered with %d", i, status)
			}
			_ = p.Close()
		}
		close(stop)
		drips.Wait()
	}
	// The runtime keeps what describes a goroutine for the next one: as many
	// as ever ran at once.
	before := a.baseline(t, func() { abuse(150) })
	abuse(150)
	a.settled(t, before)
}

// drip sends a header that never ends.
func drip(p *peer, stop <-chan struct{}) {
	if _, err := io.WriteString(p, handshake+"X-Long: "); err != nil {
		return
	}
	for {
		select {
		case <-time.After(50 * time.Millisecond):
			if _, err := p.Write([]byte("x")); err != nil {
				return
			}
		case <-stop:
			return
		}
	}
}

func TestSilentConnectionsAreBounded(t *testing.T) {
	a := start(t, open, "HANDSHAKE_TIMEOUT=5s", "MAX_HANDSHAKES=10")
	before := a.baseline(t)
	honest := a.dial(t, "ann")
	var silent, over []*peer
	for range 20 {
		silent = append(silent, a.peer(t))
	}
	eventually(t, "all are accepted", func() bool { return a.metric(t, "ws_gateway_http_connections") == 20 })
	for range 50 {
		p := a.peer(t)
		if status := p.answer(t); status != 0 {
			t.Errorf("one too many was answered with %d", status)
		}
		over = append(over, p)
	}
	honest.send(t, `{"event":"ping","id":1}`)
	honest.until(t, "pong")
	honest.cut()
	for _, p := range append(silent, over...) {
		_ = p.Close()
	}
	eventually(t, "there is room again", func() bool { return a.metric(t, "ws_gateway_http_connections") == 0 })
	if n := a.metric(t, "ws_gateway_http_connections_refused_total"); n != 50 {
		t.Errorf("counted %v", n)
	}
	a.settled(t, before)
}

func TestForeignOriginsAreRefused(t *testing.T) {
	a := start(t, open, "AUTH_MODE=development") // else a foreign Host is refused first
	abuse := func() {
		for _, c := range []struct {
			name    string
			headers []string
		}{
			{"a foreign page", []string{"Origin: https://evil.example"}},
			{"the opaque origin", []string{"Origin: null"}},
			{"a name that was made to point here", []string{"Origin: http://rebound.example", "Host: rebound.example"}},
			{"the same with ports", []string{"Origin: http://rebound.example:3007", "Host: rebound.example:3007"}},
			{"a name that looks like loopback", []string{"Origin: http://localhost.evil.example", "Host: localhost"}},
			{"a page of this machine under a foreign name", []string{"Origin: http://localhost", "Host: rebound.example"}},
			{"two origins", []string{"Origin: http://localhost", "Origin: https://evil.example"}},
			{"nonsense", []string{"Origin: ://"}},
		} {
			header, body := a.refused(t, http.StatusForbidden, "ann", c.headers...)
			if !strings.Contains(body, "ALLOWED_ORIGINS") {
				t.Errorf("%s: %q %v", c.name, body, header)
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
}

func TestUnknownHostsAreRefused(t *testing.T) {
	a := start(t, open, "AUTH_MODE=development", "ALLOWED_HOSTS=gateway.example,127.0.0.1")
	before := a.baseline(t)
	for _, host := range []string{"rebound.example", "localhost", "gateway.example.evil.example"} {
		if _, body := a.refused(t, http.StatusMisdirectedRequest, "ann", "Host: "+host); !strings.Contains(body, "ALLOWED_HOSTS") {
			t.Errorf("%s: %q", host, body)
		}
	}
	a.dial(t, "ann", "Host: gateway.example:3007").cut()
	a.settled(t, before)
}
