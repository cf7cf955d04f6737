package e2e

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// burn keeps all cores busy until the test ends. A burner ends with this
// process, too.
func burn(t *testing.T) {
	t.Helper()
	const loop = `while kill -0 $PPID; do i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done; done`
	for range runtime.NumCPU() {
		cmd := exec.Command("sh", "-c", loop)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // killed
		})
	}
}

// connectFrame is a CONNECT as a masked WebSocket frame; the mask is zero.
const connectFrame = "\x81\x82\x00\x00\x00\x0040"

// arrive connects one client by hand, so that its CONNECT can stand in one
// packet with the handshake, before the server has said a word. It returns the
// connection once both answers have come: to the CONNECT, and connected.
func arrive(ctx context.Context, address string, eager bool) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	limit, _ := ctx.Deadline()
	if err := errors.Join(c.SetDeadline(limit), greet(c, eager)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func greet(c net.Conn, eager bool) error {
	hello := "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	if eager {
		hello += connectFrame
	}
	if _, err := io.WriteString(c, hello); err != nil {
		return err
	}
	r := bufio.NewReaderSize(c, 1<<10)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("handshake: %s", resp.Status)
	}
	for _, want := range []string{`0{"sid":"`, `40{"sid":"`, `42["connected",{`} {
		if want[0] == '4' && want[1] == '0' && !eager {
			if _, err := io.WriteString(c, connectFrame); err != nil {
				return err
			}
		}
		got, err := frame(r)
		if err != nil || !strings.HasPrefix(got, want) {
			return fmt.Errorf("%q in place of %s: %w", got, want, err)
		}
	}
	return nil
}

// frame reads an unmasked frame of up to 64 KiB.
func frame(r io.Reader) (string, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	n := int(head[1])
	if n == 126 {
		var more [2]byte
		if _, err := io.ReadFull(r, more[:]); err != nil {
			return "", err
		}
		n = int(binary.BigEndian.Uint16(more[:]))
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(r, payload)
	return string(payload), err
}

// crowd lets clients come all at once while all cores are busy, and fails if
// one of them is not served.
func crowd(t *testing.T, n int, come func(ctx context.Context, i int, g *gatewayProcess) error) {
	t.Helper()
	g := serve(t, freePorts(t), "AUTH_DEADLINE=1m") // who is slow here is no attacker
	burn(t)
	ctx, cancel := context.WithTimeout(t.Context(), crowdTime)
	defer cancel()
	begun := time.Now()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = come(ctx, i, g) })
	}
	all.Wait()
	failed := 0
	for i, err := range errs {
		if err == nil {
			continue
		}
		if failed++; failed <= 5 {
			t.Errorf("client %d: %v", i, err)
		}
	}
	if failed > 0 {
		t.Errorf("%d of %d clients failed", failed, n)
	}
	t.Logf("%d clients were connected after %v", n, time.Since(begun).Round(time.Millisecond))
}

// crowdTime bounds a crowd.
const crowdTime = 2 * time.Minute

func TestNobodyOfACrowdIsLeftWithoutItsCONNECTReply(t *testing.T) {
	const n = 5000
	conns := make([]net.Conn, n) // all stay to the end
	crowd(t, n, func(ctx context.Context, i int, g *gatewayProcess) (err error) {
		conns[i], err = arrive(ctx, fmt.Sprintf("127.0.0.1:%d", g.ports.public), i%2 == 0)
		return err
	})
	for _, c := range conns {
		if c != nil {
			_ = c.Close()
		}
	}
}

func TestNobodyOfACrowdThatPollsIsLeftWithoutItsCONNECTReply(t *testing.T) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	defer client.CloseIdleConnections()
	crowd(t, 1000, func(ctx context.Context, _ int, g *gatewayProcess) error {
		p := poller{ctx, client, g.ports.url() + "/socket.io/?EIO=4&transport=polling"}
		return p.connect()
	})
}

// poller is one client that polls.
type poller struct {
	ctx    context.Context
	client *http.Client
	url    string
}

func (p *poller) connect() error {
	open, err := p.ask(http.MethodGet, "")
	if err != nil {
		return err
	}
	sid, _, ok := strings.Cut(strings.TrimPrefix(open, `0{"sid":"`), `"`)
	if !ok {
		return fmt.Errorf("the handshake is %q", open)
	}
	p.url += "&sid=" + sid
	if said, err := p.ask(http.MethodPost, "40"); err != nil || said != "ok" {
		return fmt.Errorf("CONNECT: %q, %w", said, err)
	}
	for got := ""; !strings.Contains(got, "\x1e42[\"connected\",{"); {
		said, err := p.ask(http.MethodGet, "")
		if err != nil {
			return err
		}
		if got += "\x1e" + said; !strings.HasPrefix(got, "\x1e40{\"sid\":\"") {
			return fmt.Errorf("%q in place of the reply", got)
		}
	}
	return nil
}

func (p *poller) ask(method, body string) (string, error) {
	req, err := http.NewRequestWithContext(p.ctx, method, p.url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	return string(b), err
}
