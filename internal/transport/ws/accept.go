package ws

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/internal/transport"
)

// Accept implements transport.Acceptor. The handshake is coder/websocket's;
// its connection is let go at once, and the socket becomes ours. The answer to
// the upgrade goes out with what the handler says first (see greet).
func (s *Server) Accept(req transport.Request) error {
	if !s.enter() {
		s.refuse(req.W, http.StatusServiceUnavailable, "shutting down")
		return ErrClosed
	}
	defer s.helpers.Done()
	if req.R.ContentLength != 0 || len(req.R.TransferEncoding) > 0 {
		s.refuse(req.W, http.StatusBadRequest, "an upgrade has no body")
		return errors.New("accept websocket: request with a body")
	}
	w := &hijackWriter{ResponseWriter: req.W}
	if err := s.handshake(w, req); err != nil {
		s.stats.refused.Add(1)
		if w.nc != nil {
			_ = w.nc.Close()
		}
		return fmt.Errorf("accept websocket: %w", err)
	}
	c := s.newConn(w)
	c.unasked = req.OwnHeartbeat
	c.scheduled = true // greet has the writer's part
	if !s.table.add(c) {
		c.sock.cut(true)
		c.sock.free()
		return ErrClosed
	}
	s.stats.open.Add(1)
	s.stats.accepted.Add(1)
	c.begin(req.Open, w.head())
	return nil
}

// refuse answers an upgrade that is none, and gives the HTTP connection up:
// bytes that follow could be anything.
func (s *Server) refuse(w http.ResponseWriter, code int, text string) {
	s.stats.refused.Add(1)
	w.Header().Set("Connection", "close")
	http.Error(w, text, code)
}

// handshake carries out the upgrade on w.
func (s *Server) handshake(w *hijackWriter, req transport.Request) error {
	opts := &websocket.AcceptOptions{InsecureSkipVerify: true} // admission has checked the origin
	if req.Subprotocol != "" {
		opts.Subprotocols = []string{req.Subprotocol}
	}
	if s.cfg.Compression {
		opts.CompressionMode = websocket.CompressionNoContextTakeover
	}
	accepted, err := websocket.Accept(w, req.R, opts)
	if err != nil {
		return err
	}
	w.deflate = w.Header().Get("Sec-WebSocket-Extensions") != ""
	_ = accepted.CloseNow() // knows only a detached connection: nothing is closed, nothing waited for
	return nil
}

// newConn makes a connection of a hijacked one.
func (s *Server) newConn(w *hijackWriter) *conn {
	c := &conn{srv: s, in: w.early, deflate: w.deflate}
	c.active.Store(true)
	c.heard.Store(int64(s.now()))
	c.shard = s.flushers[int(s.stats.accepted.Load())%len(s.flushers)]
	if s.poller != nil {
		c.fd, c.parked = s.poller.detach(w.nc)
	}
	if c.parked {
		c.sock = &c.fd
	} else {
		c.sock = netSocket{w.nc}
	}
	return c
}

// begin opens the handler, answers the upgrade and starts reading.
func (c *conn) begin(open func(transport.Conn) transport.Handler, head []byte) {
	c.open(open, head)
	if !c.unasked {
		now := c.srv.now()
		c.mu.Lock()
		c.setDueLocked(now, now+c.intervalLocked())
		c.mu.Unlock()
	}
	if c.parked && len(c.in) == 0 {
		c.park(false)
		return
	}
	if !c.srv.spawn(c.serveAlone) {
		c.finish() // shutdown has cut it
	}
}

// hijackWriter stands between the library and the server's ResponseWriter: the
// library gets tiny buffers and a connection it cannot close, and its answer to
// the upgrade is kept back.
type hijackWriter struct {
	http.ResponseWriter
	nc      net.Conn // what was hijacked
	early   []byte   // bytes of the client that the HTTP server had read already
	deflate bool
}

// WriteHeader makes a refused upgrade the last answer on its HTTP connection.
func (w *hijackWriter) WriteHeader(code int) {
	if code == http.StatusSwitchingProtocols {
		return // see head
	}
	w.Header().Set("Connection", "close")
	w.ResponseWriter.WriteHeader(code)
}

// head is the answer to the upgrade.
func (w *hijackWriter) head() []byte {
	var b bytes.Buffer
	b.Grow(256)
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = w.Header().Write(&b) // to memory: cannot fail
	b.WriteString("\r\n")
	return b.Bytes()
}

// Hijack implements http.Hijacker.
func (w *hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.nc = nc
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ := rw.Reader.Peek(n) // cannot fail: that much is buffered
		w.early = bytes.Clone(early)
	}
	idle := &memConn{}
	return idle, bufio.NewReadWriter(bufio.NewReaderSize(idle, 16), bufio.NewWriterSize(idle, 16)), nil
}
