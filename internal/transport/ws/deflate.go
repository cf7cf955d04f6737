package ws

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"sync"
)

// deflateThreshold is the payload size from which frames are compressed.
const deflateThreshold = 512

// deflateTail ends every message's DEFLATE stream and is not sent
// (RFC 7692 section 7.2.1).
const deflateTail = "\x00\x00\xff\xff"

const deflateWindow = 32 << 10

// maxStreams bounds the DEFLATE streams of one message. Each costs a reset and
// a copy of the window for as little as two bytes; senders use one.
const maxStreams = 16

// maxInflated is the most memory that an inflater keeps between messages.
const maxInflated = 256 << 10

var (
	errTooBig  = errors.New("message too big")
	errStreams = errors.New("too many final blocks")
)

// deflaters compresses frames, each on its own (no context takeover).
type deflaters struct{ pool sync.Pool }

// compress is the argument of wire.Frame.Deflated.
func (ds *deflaters) compress(payload []byte) []byte {
	if len(payload) < deflateThreshold {
		return nil
	}
	out := bytes.NewBuffer(make([]byte, 0, len(payload)/2))
	w, ok := ds.pool.Get().(*flate.Writer)
	if ok {
		w.Reset(out)
	} else {
		w, _ = flate.NewWriter(out, flate.BestSpeed) // fails on a bad level only
	}
	_, err := w.Write(payload)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return nil
	}
	ds.pool.Put(w)
	c := bytes.TrimSuffix(out.Bytes(), []byte(deflateTail))
	if len(c) >= len(payload) {
		return nil
	}
	return c
}

// inflaters lends out inflaters.
type inflaters struct{ pool sync.Pool }

// inflater undoes the compression of one message. It keeps nothing between
// messages but its memory: both are reset before use.
type inflater struct {
	src tailReader
	r   io.Reader // a flate.Resetter
	out []byte
}

func (is *inflaters) get() *inflater {
	if in, ok := is.pool.Get().(*inflater); ok {
		return in
	}
	in := &inflater{}
	in.r = flate.NewReader(&in.src)
	return in
}

func (is *inflaters) put(in *inflater) {
	in.src = tailReader{}
	if cap(in.out) > maxInflated {
		in.out = nil
	}
	is.pool.Put(in)
}

// inflate decompresses one message of at most limit bytes. The result is valid
// until the inflater is put back. It returns errTooBig beyond the limit, and
// errStreams when the message is cut into too many streams.
func (in *inflater) inflate(payload []byte, limit int) ([]byte, error) {
	in.src = tailReader{data: payload, tail: deflateTail}
	in.out = in.out[:0]
	for n := 0; n == 0 || len(in.src.data) > 0; n++ {
		if n == maxStreams {
			return nil, errStreams
		}
		// A block with BFINAL set ends a stream within a message; what
		// follows may refer to what came before (RFC 7692 section 7.2.3.4).
		window := in.out[max(0, len(in.out)-deflateWindow):]
		if err := in.r.(flate.Resetter).Reset(&in.src, window); err != nil {
			return nil, err
		}
		if err := in.stream(limit); err != nil {
			return nil, err
		}
	}
	return in.out, nil
}

// stream reads one DEFLATE stream to its end, or to the end of the tail.
func (in *inflater) stream(limit int) error {
	for {
		if len(in.out) == cap(in.out) {
			in.out = append(in.out, 0)[:len(in.out)]
		}
		n, err := in.r.Read(in.out[len(in.out):cap(in.out)])
		in.out = in.out[:len(in.out)+n]
		switch {
		case len(in.out) > limit:
			return errTooBig
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF) && in.src.drained():
			return nil // between blocks, or the tail was not one: the peer's loss
		case err != nil:
			return err
		}
	}
}

// tailReader reads a payload and the tail that was not sent.
type tailReader struct {
	data []byte
	tail string
}

func (t *tailReader) drained() bool { return len(t.data) == 0 && t.tail == "" }

// ReadByte implements io.ByteReader, so that flate reads no byte too many.
func (t *tailReader) ReadByte() (byte, error) {
	if len(t.data) > 0 {
		b := t.data[0]
		t.data = t.data[1:]
		return b, nil
	}
	if t.tail == "" {
		return 0, io.EOF
	}
	b := t.tail[0]
	t.tail = t.tail[1:]
	return b, nil
}

// Read implements io.Reader; flate uses it for stored blocks.
func (t *tailReader) Read(p []byte) (int, error) {
	if len(t.data) > 0 {
		n := copy(p, t.data)
		t.data = t.data[n:]
		return n, nil
	}
	if t.tail == "" {
		return 0, io.EOF
	}
	n := copy(p, t.tail)
	t.tail = t.tail[n:]
	return n, nil
}
