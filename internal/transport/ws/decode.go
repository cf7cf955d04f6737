package ws

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// errParked is what a decoder's library meets when it wants more than the one
// complete message it was fed. It cannot happen while the framer is right.
var errParked = errors.New("no complete frame is left")

// decoders lends out decoders. They hold nothing of a connection between
// messages, so a handful serves all connections.
type decoders struct{ pool sync.Pool }

// decoder turns the frames of one complete message into its payload: one
// coder/websocket connection over memory. It is lent to one reader at a time
// and exactly between messages when it lies in the pool: its message reader is
// at the end of a final frame, its buffered reader is empty, and since
// compression is undone outside of it (see inflate.go) it has no window, no
// DEFLATE reader and no tail that could leak into the next connection's
// message. After an error it is thrown away.
type decoder struct {
	feed memConn
	conn *websocket.Conn
}

// decode decodes the frames of one message in place: the payload is returned
// in the memory of the frames, whose bytes are always read before they are
// overwritten, as headers only make the payload move down.
func (ds *decoders) decode(u unit) ([]byte, error) {
	d, err := ds.get()
	if err != nil {
		return nil, err
	}
	d.feed.left = u.frames
	payload, err := d.read(u.frames[:u.payload])
	d.feed.left = nil
	if err != nil {
		_ = d.conn.CloseNow() // over memory: it cannot hang
		return nil, err
	}
	ds.pool.Put(d)
	return payload, nil
}

func (ds *decoders) get() (*decoder, error) {
	if d, ok := ds.pool.Get().(*decoder); ok {
		return d, nil
	}
	return newDecoder()
}

// newDecoder accepts a handshake in memory.
func newDecoder() (*decoder, error) {
	d := &decoder{}
	r := &http.Request{Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}}
	var err error
	d.conn, err = websocket.Accept(memWriter{&d.feed, http.Header{}}, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	// The library closes what is forgotten by a finalizer, which its own cycles
	// keep from ever running: what the pool drops would never be freed.
	runtime.SetFinalizer(d.conn, nil)
	d.conn.SetReadLimit(-1) // the framer has checked the size
	return d, nil
}

// read reads the message that was fed to its end.
func (d *decoder) read(into []byte) ([]byte, error) {
	_, r, err := d.conn.Reader(context.Background())
	n := 0
	for err == nil {
		var k int
		k, err = r.Read(into[n:])
		n += k
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(d.feed.left) != 0 || n != len(into) {
		return nil, io.ErrShortBuffer
	}
	return into, nil
}

// memConn is the connection under a decoder: it reads what it was fed and
// writes nowhere.
type memConn struct{ left []byte }

func (m *memConn) Read(p []byte) (int, error) {
	if len(m.left) == 0 {
		return 0, errParked
	}
	n := copy(p, m.left)
	m.left = m.left[n:]
	return n, nil
}

func (m *memConn) Write(p []byte) (int, error)      { return len(p), nil }
func (m *memConn) Close() error                     { return nil }
func (m *memConn) LocalAddr() net.Addr              { return nil }
func (m *memConn) RemoteAddr() net.Addr             { return nil }
func (m *memConn) SetDeadline(time.Time) error      { return nil }
func (m *memConn) SetReadDeadline(time.Time) error  { return nil }
func (m *memConn) SetWriteDeadline(time.Time) error { return nil }

// memWriter answers an upgrade in memory.
type memWriter struct {
	conn   *memConn
	header http.Header
}

func (w memWriter) Header() http.Header         { return w.header }
func (w memWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w memWriter) WriteHeader(int)             {}
func (w memWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReaderSize(w.conn, 1024), bufio.NewWriterSize(w.conn, 16)), nil
}
