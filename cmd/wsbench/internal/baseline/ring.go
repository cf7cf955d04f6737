//go:build linux

package baseline

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/frame"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
	"golang.org/x/sys/unix"
)

const (
	slots = 8
	room  = "bench-0"

	// JoinID is the id of the join request that the server answers.
	JoinID = 1
)

// ring holds the batches that some connection has yet to be sent.
type ring struct {
	dataSize int
	perBatch int
	head     uint64 // batches begun
	open     int    // of them, not yet written to everyone
	slots    [slots]batch
	text     []byte
	ends     []int
	clock    time.Time
	filler   string
}

// batch is some frames, one behind the other.
type batch struct {
	buf  []byte
	iov  []unix.Iovec
	left int // connections that have yet to be sent it
}

func newRing(size, perBatch int) ring {
	return ring{dataSize: size, perBatch: perBatch, clock: time.Now(), filler: base64.RawURLEncoding.EncodeToString([]byte("nonces"))}
}

func (r *ring) space() bool { return r.slots[r.head%slots].left == 0 }

// begin encodes the next batch, for n connections.
func (r *ring) begin(n int) {
	if n == 0 {
		return
	}
	b := &r.slots[r.head%slots]
	b.buf, b.iov, b.left = b.buf[:0], b.iov[:0], n
	now := r.clock.UnixNano() + int64(time.Since(r.clock))
	r.ends = r.ends[:0]
	for i := range r.perBatch {
		seq := r.head*uint64(r.perBatch) + uint64(i) + 1
		r.text = fmt.Appendf(r.text[:0], `{"event":%q,"room":%q,"data":`, gwproto.Event, room)
		r.text = gwproto.AppendBody(r.text, gwproto.Body{Seq: seq, Sent: now}, r.dataSize)
		r.text = fmt.Appendf(r.text, `,"offset":%d,"pos":"%s.%d.%s"}`, seq, r.filler, seq, r.filler)
		b.buf = appendFrame(b.buf, r.text)
		r.ends = append(r.ends, len(b.buf))
	}
	start := 0
	for _, end := range r.ends {
		b.iov = append(b.iov, unix.Iovec{Base: &b.buf[start], Len: uint64(end - start)}) //nolint:gosec // a length
		start = end
	}
	r.head++
	r.open++
}

func (r *ring) size(n uint64) int { return len(r.slots[n%slots].buf) }

// writev writes batch n from byte done on: all frames in one call (a single
// one by a plain write), or what an earlier call left.
func (r *ring) writev(fd int, n uint64, done int) (int, unix.Errno) {
	b := &r.slots[n%slots]
	if done == 0 && len(b.iov) > 1 {
		w, _, errno := unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&b.iov[0])), uintptr(len(b.iov)))
		return int(w), errno
	}
	w, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b.buf[done])), uintptr(len(b.buf)-done))
	return int(w), errno
}

func (r *ring) wrote(n uint64) {
	b := &r.slots[n%slots]
	if b.left--; b.left == 0 {
		r.open--
	}
}

// leave counts batches from n on as written for a connection that has gone.
func (r *ring) leave(n uint64) uint64 {
	for ; n < r.head; n++ {
		r.wrote(n)
	}
	return n
}

// appendFrame appends one unmasked text frame.
func appendFrame(dst, payload []byte) []byte {
	n := len(payload)
	switch {
	case n < 126:
		dst = append(dst, frame.Fin|frame.Text, byte(n))
	case n < 1<<16:
		dst = append(dst, frame.Fin|frame.Text, 126, byte(n>>8), byte(n)) //nolint:gosec // two bytes of the length
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, frame.Fin|frame.Text, 127), uint64(n))
	}
	return append(dst, payload...)
}
