package peer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"sync/atomic"
)

// Why a client's body is not passed on.
var (
	errTooLarge = errors.New("the body is too large")
	errNoMemory = errors.New("the bodies under way are too large")
	errAborted  = errors.New("the body broke off")
)

// bodyStep is what a body is read into at first, in bytes.
const bodyStep = 4 << 10

// budget bounds the memory of bodies that wait to be passed on. Safe for
// concurrent use.
type budget struct {
	limit int64 // immutable
	used  atomic.Int64
}

func (b *budget) reserve(n int) bool {
	if b.used.Add(int64(n)) <= b.limit {
		return true
	}
	b.release(n)
	return false
}

func (b *budget) release(n int) { b.used.Add(-int64(n)) }

// readBody reads a body of at most limit bytes into memory that grows as they
// come. Its capacity, which is the caller's to release, is taken from the budget,
// with an error too.
func readBody(from io.Reader, limit int, b *budget) (body []byte, err error) {
	for {
		if len(body) == cap(body) {
			// One byte more than the limit, to see that there is none.
			room := min(max(2*cap(body), bodyStep), limit+1)
			if room <= cap(body) {
				return body, errTooLarge
			}
			if !b.reserve(room) {
				return body, errNoMemory
			}
			grown := append(make([]byte, 0, room), body...)
			b.release(cap(body))
			body = grown
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > limit:
			return body, errTooLarge
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return body, errAborted
		}
	}
}

var errTampered = errors.New("the body is not the one that was signed")

// signedBody yields a body only if it is the one that its ticket names: what
// comes last is held back otherwise.
type signedBody struct {
	io.ReadCloser
	sum  hash.Hash
	left int64 // bytes to come
	want string
	ok   bool // all of it has come
}

func newSignedBody(body io.ReadCloser, t ticket) io.ReadCloser {
	return &signedBody{ReadCloser: body, sum: sha256.New(), left: t.Length, want: t.Digest}
}

// Read implements io.Reader.
func (b *signedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sum.Write(p[:n])
	b.left -= int64(n)
	switch {
	case b.left < 0:
		return 0, errTampered
	case b.left > 0 && errors.Is(err, io.EOF):
		return 0, io.ErrUnexpectedEOF
	case b.left == 0 && !b.ok:
		if b.ok = hex.EncodeToString(b.sum.Sum(nil)) == b.want; !b.ok {
			return 0, errTampered
		}
	}
	return n, err
}

// replayable is a body that can be sent again.
func replayable(body []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(body)) }
