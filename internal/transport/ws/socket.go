package ws

import (
	"crypto/tls"
	"errors"
	"net"
)

// errAgain is returned by a parked socket that would have to wait.
var errAgain = errors.New("not ready")

// socket is what a mode provides under a connection. The reader calls read,
// the writer write and closeWrite, each from one goroutine at a time.
type socket interface {
	// read reads what is there. Parked: errAgain instead of waiting.
	read(p []byte) (int, error)
	// write writes slices in order and returns the number of bytes written.
	// Parked: errAgain once the peer's window is full. Else it may write less
	// without an error, so that it returns before the peer has taken it all.
	write(segs [][]byte) (int, error)
	// arm asks for one event; parked only. Called with the connection's mu
	// held, never after free.
	arm(c *conn, read, write bool) error
	// closeWrite says that nothing follows; false if the socket cannot.
	closeWrite() bool
	// cut ends both directions at once and wakes whoever reads or writes; with
	// reset, what the kernel still holds is thrown away. It does not block.
	// Called with the connection's mu held.
	cut(reset bool)
	// free gives the descriptor back. Nobody uses the socket any more.
	free()
}

// writeChunk is the most that one write of the goroutine mode takes: a peer
// that takes less within the write timeout is too slow.
const writeChunk = 16 << 10

// netSocket is the socket of the goroutine mode: any net.Conn.
type netSocket struct{ nc net.Conn }

var _ socket = netSocket{}

func (s netSocket) read(p []byte) (int, error) { return s.nc.Read(p) }

func (s netSocket) write(segs [][]byte) (int, error) {
	total := 0
	for _, p := range segs {
		p = p[:min(len(p), writeChunk-total)]
		n, err := s.nc.Write(p)
		total += n
		if err != nil || total == writeChunk {
			return total, err
		}
	}
	return total, nil
}

func (netSocket) arm(*conn, bool, bool) error { return nil }

func (s netSocket) closeWrite() bool {
	if half, ok := s.nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() == nil
	}
	return false
}

// cut closes the connection below TLS: tls.Conn.Close may wait for seconds to
// say goodbye to a peer that does not read.
func (s netSocket) cut(reset bool) {
	nc := s.nc
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if tcp, ok := nc.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
}

func (netSocket) free() {}
