package examples

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
)

const (
	cableSegment = 1448      // bytes in a packet of Ethernet
	cableBuffer  = 128 << 10 // bytes that are on the way
)

// cable passes connections on to an address as a network would: on loopback
// packets are so large that the system lets several megabytes wait between two
// processes. It ends with the test. It returns where it listens.
func cable(t *testing.T, to string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return // closed
			}
			passing.Go(func() { pass(ctx, from.(*net.TCPConn), to) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		passing.Wait()
	})
	return listener.Addr().String()
}

// pass carries both ways until one end closes, or ctx ends.
func pass(ctx context.Context, from *net.TCPConn, address string) {
	defer func() { _ = from.Close() }()
	dialer := net.Dialer{Control: narrow}
	to, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return // as is the connection then
	}
	defer func() { _ = to.Close() }()
	_ = from.SetWriteBuffer(cableBuffer) // one that has closed is noticed below
	stop := context.AfterFunc(ctx, func() { _, _ = from.Close(), to.Close() })
	defer stop()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(struct{ io.Writer }{to}, from)
		_, _ = from.Close(), to.Close()
	})
	_, _ = io.Copy(struct{ io.Writer }{from}, to)
	_, _ = from.Close(), to.Close()
	back.Wait()
}

// narrow makes the packets small that the other end sends, and few.
func narrow(_, _ string, c syscall.RawConn) error {
	var segment, buffer error
	err := c.Control(func(fd uintptr) {
		segment = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, cableSegment)
		buffer = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, cableBuffer)
	})
	return errors.Join(err, segment, buffer)
}
