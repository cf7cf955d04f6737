//go:build linux

package budget

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// dialectBudget is how much more memory an idle Socket.IO connection may
	// take than a plain one, in bytes.
	dialectBudget = 1 << 10
	dialectCrowd  = 4000
)

// dialect is how a client says hello and answers pings on a WebSocket.
type dialect struct {
	name, path string
	hello      string // the first message; %06d is the user
	greeted    string // in the last message of the greeting
	ping       string // frame
	pong       string // masked frame
}

var (
	plainDialect = dialect{
		name: "plain", path: "/ws",
		hello: `{"event":"authenticate","id":1,"data":{"token":"user-%06d"}}`, greeted: `"room_joined"`,
		ping: "\x89\x00", pong: "\x8a\x80\x00\x00\x00\x00",
	}
	socketDialect = dialect{
		name: "Socket.IO", path: "/socket.io/?EIO=4&transport=websocket",
		hello: `40{"token":"user-%06d"}`, greeted: `"room_joined"`,
		ping: "\x81\x012", pong: "\x81\x81\x00\x00\x00\x003",
	}
)

// idler is a client that says hello, and from then on only answers pings.
type idler struct {
	dialect
	conn net.Conn
	r    *bufio.Reader
}

func (d dialect) open(addr string, user int) (*idler, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	i := &idler{dialect: d, conn: conn, r: bufio.NewReaderSize(conn, 2<<10)}
	if err := cmp.Or(conn.SetDeadline(time.Now().Add(time.Minute)), i.greet(user), conn.SetDeadline(time.Time{})); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return i, nil
}

func (i *idler) greet(user int) error {
	hello := fmt.Sprintf(i.hello, user)
	// Text, masked by zero, with a length of 7 bits.
	frame := append([]byte{0x81, 0x80 | byte(len(hello)), 0, 0, 0, 0}, hello...)
	_, err := fmt.Fprintf(i.conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n%s", i.path, frame)
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(i.r, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return errors.New(resp.Status)
	}
	for {
		message, err := i.read()
		if err != nil || strings.Contains(message, i.greeted) {
			return err
		}
	}
}

// read reads the next message and answers it if it is a ping: then it is "".
func (i *idler) read() (string, error) {
	head, err := i.r.Peek(2)
	if err != nil {
		return "", err
	}
	n, header := int(head[1]), 2
	if n == 126 {
		if head, err = i.r.Peek(4); err != nil {
			return "", err
		}
		n, header = int(head[2])<<8|int(head[3]), 4
	}
	frame := make([]byte, header+n)
	if _, err := io.ReadFull(i.r, frame); err != nil {
		return "", err
	}
	if string(frame) != i.ping {
		return string(frame[header:]), nil
	}
	_, err = io.WriteString(i.conn, i.pong)
	return "", err
}

// idle answers pings until the connection ends; asked counts clients that have
// answered one.
func (i *idler) idle(asked *atomic.Int64) {
	for first := true; ; {
		message, err := i.read()
		if err != nil {
			return
		}
		if message == "" && first {
			first = false
			asked.Add(1)
		}
	}
}

// memory is what a process uses, in bytes.
type memory struct{ heap, rss float64 }

// memoryOf has a gateway collect its garbage, and reads its figures.
func memoryOf(t *testing.T, pid, admin int) (m memory) {
	t.Helper()
	for range 2 { // the second frees what the first has only found
		fetch(t, admin, "/debug/pprof/heap?gc=1")
	}
	for line := range strings.Lines(string(fetch(t, admin, "/metrics"))) {
		if value, ok := strings.CutPrefix(line, "go_memstats_heap_alloc_bytes "); ok {
			m.heap, _ = strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(string(bytes.Fields(statm)[1]))
	if err != nil || m.heap == 0 {
		t.Fatalf("the figures of the gateway's memory are not to be had: %+v, %v", m, err)
	}
	m.rss = float64(pages * os.Getpagesize())
	return m
}

func fetch(t *testing.T, admin int, path string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", admin, path), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", path, resp.Status, err)
	}
	return b
}

// perConnection is the memory that one idle connection of a dialect takes, in a
// gateway of its own, once each has been pinged.
func (d dialect) perConnection(t *testing.T, bin string) memory {
	t.Helper()
	t.Setenv("HEARTBEAT_INTERVAL", "4s") // the default would make the test longer
	t.Setenv("HEARTBEAT_TIMEOUT", "1m")
	public, admin := ports(t)
	pid := serve(t, bin, public, admin)
	addr := fmt.Sprintf("127.0.0.1:%d", public)
	var asked, next atomic.Int64
	var opening, reading sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn // guarded by mu
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
		reading.Wait()
	}()
	open := func(clients int64) {
		next.Store(0)
		for range 16 {
			opening.Go(func() {
				for n := next.Add(1); n <= clients; n = next.Add(1) {
					i, err := d.open(addr, int(n))
					if err != nil {
						t.Errorf("%s client %d: %v", d.name, n, err)
						return
					}
					mu.Lock()
					conns = append(conns, i.conn)
					mu.Unlock()
					reading.Go(func() { i.idle(&asked) })
				}
			})
		}
		opening.Wait()
	}
	open(20) // what is made once is no connection's
	before := memoryOf(t, pid, admin)
	open(dialectCrowd)
	for begun := time.Now(); asked.Load() < dialectCrowd+20 && !t.Failed(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 2*time.Minute {
			t.Fatalf("%d of %d %s clients were pinged", asked.Load(), dialectCrowd+20, d.name)
		}
	}
	after := memoryOf(t, pid, admin)
	return memory{(after.heap - before.heap) / dialectCrowd, (after.rss - before.rss) / dialectCrowd}
}

// TestAnIdleSocketIOConnectionTakesLittleMoreThanAPlainOne compares two gateways
// with the shipped defaults, of which one has plain clients alone and the other
// Socket.IO clients alone. Resident memory has the garbage too that a busy
// machine did not collect in time, so the best of a few runs counts.
func TestAnIdleSocketIOConnectionTakesLittleMoreThanAPlainOne(t *testing.T) {
	bin := build(t, t.TempDir(), "cmd/gateway")
	for range attempts {
		plain, ours := plainDialect.perConnection(t, bin), socketDialect.perConnection(t, bin)
		heap, rss := ours.heap-plain.heap, ours.rss-plain.rss
		t.Logf("bytes per connection: plain %.0f of live heap and %.0f resident, Socket.IO %.0f and %.0f, which is %.0f and %.0f more",
			plain.heap, plain.rss, ours.heap, ours.rss, heap, rss)
		if max(heap, rss) <= dialectBudget || t.Failed() {
			return
		}
	}
	t.Errorf("Socket.IO's connections take more than %d bytes above plain ones each time", dialectBudget)
}
