package link_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/moonx-farm/ws-gateway/test/chaos/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits for what must happen, moment those for what must not.
const (
	patience = 20 * time.Second
	moment   = 50 * time.Millisecond
)

// echo is a server that sends back what it gets.
type echo struct {
	t        *testing.T
	listener net.Listener
	running  sync.WaitGroup
	prefix   string
}

func serve(t *testing.T, prefix string) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{t: t, listener: l, prefix: prefix}
	e.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			e.running.Go(func() {
				defer func() { _ = c.Close() }()
				_, _ = io.WriteString(c, prefix)
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(e.stop)
	return e
}

func (e *echo) addr() string { return e.listener.Addr().String() }

func (e *echo) stop() {
	_ = e.listener.Close()
	e.running.Wait()
}

func listen(t *testing.T, target string) *link.Link {
	t.Helper()
	l, err := link.Listen(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// dial opens a connection; what it reads must come in time.
func dial(t *testing.T, l *link.Link) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func send(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

// nothing checks that nothing arrives for a moment.
func nothing(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(moment)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n > 0 || !isTimeout(err) {
		t.Fatalf("read %d bytes, %v; want nothing", n, err)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestASoundLinkCarriesBothDirectionsAndTheirEnds(t *testing.T) {
	l := listen(t, serve(t, "").addr())
	c := dial(t, l)
	big := bytes.Repeat([]byte("abcdefgh"), 1<<17)
	var sending sync.WaitGroup
	sending.Go(func() { send(t, c, string(big)); _ = c.CloseWrite() })
	got, err := io.ReadAll(c)
	sending.Wait()
	if err != nil || !bytes.Equal(got, big) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	settle(t, l, 0)
}

// settle waits until the link carries so many connections.
func settle(t *testing.T, l *link.Link, open int) {
	t.Helper()
	for begun := time.Now(); l.Open() != open; time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("%d connections are open, want %d", l.Open(), open)
		}
	}
}

func TestAResetReachesBothEndsAndSparesLaterConnections(t *testing.T) {
	l := listen(t, serve(t, "").addr())
	c := dial(t, l)
	send(t, c, "a")
	expect(t, c, "a")
	l.Reset()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client sees %v", err)
	}
	c = dial(t, l)
	send(t, c, "b")
	expect(t, c, "b")
	if l.Opened() != 2 {
		t.Errorf("%d connections so far", l.Opened())
	}
}

func TestASilentLinkDeliversWhenItHeals(t *testing.T) {
	l := listen(t, serve(t, "").addr())
	c := dial(t, l)
	send(t, c, "a")
	expect(t, c, "a")
	l.Apply(link.Shape{Silent: [2]bool{true, true}})
	send(t, c, "b")
	nothing(t, c)
	l.Apply(link.Shape{})
	expect(t, c, "b")
}

func TestALinkIsSilentInOneDirectionOnly(t *testing.T) {
	up := serve(t, "")
	for name, tc := range map[string]struct {
		silent  [2]bool
		arrives bool
	}{
		"to the server": {[2]bool{true, false}, false},
		"to the client": {[2]bool{false, true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			// Two links in a row: the inner one tells whether bytes came through.
			inner := listen(t, up.addr())
			outer := listen(t, inner.Addr())
			c := dial(t, outer)
			send(t, c, "a")
			expect(t, c, "a")
			inner.Apply(link.Shape{Silent: [2]bool{false, true}}) // answers wait here
			outer.Apply(link.Shape{Silent: tc.silent})
			send(t, c, "b")
			nothing(t, c)
			inner.Apply(link.Shape{})
			nothing(t, c)
			inner.Apply(link.Shape{Silent: [2]bool{true, true}})
			outer.Apply(link.Shape{})
			// What had reached the server before is answered already.
			if tc.arrives {
				expect(t, c, "b")
				return
			}
			nothing(t, c)
			inner.Apply(link.Shape{})
			expect(t, c, "b")
		})
	}
}

func TestConnectionsOpenedOverASilentLinkReachTheServerLater(t *testing.T) {
	l := listen(t, serve(t, "hello").addr())
	l.Apply(link.Shape{Silent: [2]bool{false, true}})
	c := dial(t, l)
	nothing(t, c)
	l.Apply(link.Shape{})
	expect(t, c, "hello")
}

func TestSlicesAndDelaysKeepOrderAndContent(t *testing.T) {
	l := listen(t, serve(t, "").addr())
	for name, s := range map[string]link.Shape{
		"slices": {Slice: true},
		"delay":  {Delay: time.Millisecond, Jitter: 3 * time.Millisecond},
		"both":   {Slice: true, Delay: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			l.Apply(s)
			c := dial(t, l)
			text := bytes.Repeat([]byte("0123456789"), 400)
			begun := time.Now()
			send(t, c, string(text))
			expect(t, c, string(text))
			if s.Delay > 0 && time.Since(begun) < 2*s.Delay {
				t.Error("there and back without a delay")
			}
		})
	}
}

func TestALinkChangesItsServer(t *testing.T) {
	a, b := serve(t, "a"), serve(t, "b")
	l := listen(t, a.addr())
	expect(t, dial(t, l), "a")
	l.Target(b.addr())
	expect(t, dial(t, l), "b")
	l.Target("")
	c, err := net.Dial("tcp", l.Addr())
	if err != nil {
		return // it was cut before it was told that it is there
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("a link without a server answers with %d bytes, %v", n, err)
	}
}

func TestCloseEndsWhatIsSilentToo(t *testing.T) {
	e := serve(t, "")
	l := listen(t, e.addr())
	c := dial(t, l)
	send(t, c, "a")
	expect(t, c, "a")
	l.Apply(link.Shape{Silent: [2]bool{true, true}})
	late := dial(t, l)
	send(t, late, "b")
	settle(t, l, 2)
	l.Close()
	for _, c := range []net.Conn{c, late} {
		if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("still open: %v", err)
		}
	}
}
