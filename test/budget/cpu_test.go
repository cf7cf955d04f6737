//go:build linux

package budget

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The budgets of CPU time are ratios to something bare that is measured in the
// same run, so that they hold on any machine. A busy one makes figures larger
// and never smaller, so the best of a few runs counts.
const (
	attempts = 4
	// frameBudget bounds a delivery that is a write of its own, over a bare
	// write of the same frame to the same client at the same pace.
	frameBudget = 1.3
	// fanoutBudget bounds a delivery of many at once, over a bare writev loop.
	fanoutBudget = 1 / 0.8
	// publishBudget bounds a pipelined publish of a client with its reply and
	// its delivery, over a bare request and reply on a loopback connection.
	publishBudget = 1.5
)

// perMessage is the figure of wsbench that the budgets are about.
const perMessage = "server CPU per message"

// within measures until a ratio is within its budget, a few times at most.
func within(t *testing.T, budget float64, measure func() float64) {
	t.Helper()
	for range attempts {
		ratio := measure()
		t.Logf("ratio %.2f of at most %.2f", ratio, budget)
		if ratio <= budget || t.Failed() {
			return
		}
	}
	t.Errorf("the ratio is above %.2f each time", budget)
}

func TestADeliveryCostsLittleMoreThanABareWrite(t *testing.T) {
	s := newStage(t)
	within(t, frameBudget, func() float64 {
		return s.measure(t, "fanout", "-members", "1000", "-rate", "20", "-duration", "3s",
			"-baseline", "writev", "-batch", "1").ratio(t, perMessage)
	})
	within(t, fanoutBudget, func() float64 {
		return s.measure(t, "fanout", "-members", "1000", "-duration", "2s",
			"-baseline", "writev").ratio(t, perMessage)
	})
}

func TestAPublishCostsLittleMoreThanABareReply(t *testing.T) {
	s := newStage(t)
	within(t, publishBudget, func() float64 {
		bare := calibrate(t)
		r := s.measure(t, "echo", "-mode", "publish", "-n", "200", "-pipeline", "16", "-duration", "2s")
		ours := r.figure(t, perMessage) // in microseconds
		t.Logf("publish %.2f µs, bare request and reply %v", ours, bare)
		return ours * float64(time.Microsecond) / float64(bare)
	})
}

// calibrate is the CPU time of one thread for one request and reply of 100
// bytes between two ends of a loopback connection: four calls of the system.
func calibrate(t *testing.T) time.Duration {
	t.Helper()
	a, b := pair(t)
	defer func() { _ = unix.Close(a); _ = unix.Close(b) }()
	const rounds = 20_000
	buf := make([]byte, 100)
	before := ownCPU(t)
	for range rounds {
		for _, step := range []struct {
			f  func(int, []byte) (int, error)
			fd int
		}{{unix.Write, a}, {unix.Read, b}, {unix.Write, b}, {unix.Read, a}} {
			if _, err := step.f(step.fd, buf); err != nil {
				t.Fatal(err)
			}
		}
	}
	return (ownCPU(t) - before) / rounds
}

// pair returns both ends of a loopback connection, which block.
func pair(t *testing.T) (a, b int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return descriptor(t, client), descriptor(t, server)
}

func descriptor(t *testing.T, c net.Conn) int {
	t.Helper()
	defer func() { _ = c.Close() }()
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		t.Fatal("no TCP connection")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	if err := raw.Control(func(old uintptr) { fd, err = unix.Dup(int(old)) }); err != nil || fd < 0 {
		t.Fatal("no descriptor")
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	return fd
}

// ownCPU is the CPU time of this process.
func ownCPU(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
