package wire

import (
	"bytes"
	"encoding/binary"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// parsed is a server frame taken apart by the words of RFC 6455 section 5.2.
type parsed struct {
	fin, rsv1, masked bool
	opcode            byte
	lengthBytes       int // 0, 2 or 8 bytes of extended length
	payload           []byte
}

func parseFrame(t *testing.T, b []byte) parsed {
	t.Helper()
	if len(b) < 2 {
		t.Fatalf("a frame of %d bytes", len(b))
	}
	p := parsed{fin: b[0]&0x80 != 0, rsv1: b[0]&0x40 != 0, opcode: b[0] & 0x0f, masked: b[1]&0x80 != 0}
	if b[0]&0x30 != 0 {
		t.Errorf("RSV2 or RSV3 is set: %#x", b[0])
	}
	n := uint64(b[1] & 0x7f)
	b = b[2:]
	switch n {
	case 126:
		n, b, p.lengthBytes = uint64(binary.BigEndian.Uint16(b)), b[2:], 2
	case 127:
		n, b, p.lengthBytes = binary.BigEndian.Uint64(b), b[8:], 8
	}
	if n != uint64(len(b)) {
		t.Fatalf("the header says %d bytes, %d follow", n, len(b))
	}
	p.payload = b
	return p
}

func TestFramesHaveTheShortestHeader(t *testing.T) {
	for _, tc := range []struct {
		size, lengthBytes int
	}{
		{0, 0},
		{1, 0},
		{125, 0},
		{126, 2},
		{127, 2},
		{1<<16 - 1, 2},
		{1 << 16, 8},
		{1<<16 + 1, 8},
		{1 << 20, 8},
	} {
		for _, op := range []Op{Text, Binary} {
			want := bytes.Repeat([]byte("p"), tc.size)
			f := NewFrame(op, append(Buffer(tc.size), want...))
			got := parseFrame(t, f.WebSocket())
			if !got.fin || got.rsv1 || got.masked || got.opcode != byte(op) || got.lengthBytes != tc.lengthBytes {
				t.Errorf("%d bytes of op %d: %+v", tc.size, op, got)
			}
			if !bytes.Equal(got.payload, want) || !bytes.Equal(f.Payload(), want) {
				t.Errorf("%d bytes of op %d: the payload changed", tc.size, op)
			}
		}
	}
}

func TestFramesOfTheRFCsExamples(t *testing.T) {
	// RFC 6455 section 5.7.
	if got := NewFrame(Text, append(Buffer(0), "Hello"...)).WebSocket(); !bytes.Equal(got, []byte("\x81\x05Hello")) {
		t.Errorf("unmasked text: % x", got)
	}
	got := NewFrame(Binary, append(Buffer(256), make([]byte, 256)...)).WebSocket()
	if !bytes.HasPrefix(got, []byte{0x82, 0x7E, 0x01, 0x00}) || len(got) != 4+256 {
		t.Errorf("256 bytes: % x…", got[:8])
	}
	got = NewFrame(Binary, append(Buffer(65536), make([]byte, 65536)...)).WebSocket()
	if !bytes.HasPrefix(got, []byte{0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0}) || len(got) != 10+65536 {
		t.Errorf("64 KiB: % x…", got[:12])
	}
}

func TestAFrameIsDeflatedOnceForAllReceivers(t *testing.T) {
	f := NewFrame(Text, append(Buffer(0), strings.Repeat("a", 500)...))
	var calls atomic.Int32
	compress := func(payload []byte) []byte {
		calls.Add(1)
		if len(payload) != 500 {
			t.Errorf("compress got %d bytes", len(payload))
		}
		return []byte("small")
	}
	var first atomic.Pointer[byte]
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			b := f.Deflated(compress)
			first.CompareAndSwap(nil, &b[0])
			if &b[0] != first.Load() {
				t.Error("two receivers got two buffers")
			}
		})
	}
	wg.Wait()
	if calls.Load() != 1 {
		t.Errorf("compressed %d times", calls.Load())
	}
	got := parseFrame(t, f.Deflated(compress))
	if !got.fin || !got.rsv1 || got.masked || got.opcode != byte(Text) || string(got.payload) != "small" {
		t.Errorf("%+v", got)
	}
	if plain := parseFrame(t, f.WebSocket()); plain.rsv1 || len(plain.payload) != 500 {
		t.Error("the uncompressed frame changed")
	}
}

func TestADeflatedFrameHasAHeaderOfItsOwnSize(t *testing.T) {
	for _, size := range []int{1, 125, 126, 1<<16 - 1, 1 << 16} {
		f := NewFrame(Text, append(Buffer(0), "x"...))
		got := parseFrame(t, f.Deflated(func([]byte) []byte { return make([]byte, size) }))
		if !got.rsv1 || len(got.payload) != size {
			t.Errorf("%d bytes: rsv1 %v, %d bytes", size, got.rsv1, len(got.payload))
		}
	}
}

func TestAFrameThatDoesNotCompressIsSentAsItIs(t *testing.T) {
	f := NewFrame(Text, append(Buffer(0), "short"...))
	calls := 0
	for range 3 {
		b := f.Deflated(func([]byte) []byte { calls++; return nil })
		if &b[0] != &f.WebSocket()[0] {
			t.Error("not the plain frame")
		}
	}
	if calls != 1 {
		t.Errorf("tried to compress %d times", calls)
	}
}

func TestBufferHasRoomForItsPayload(t *testing.T) {
	payload := bytes.Repeat([]byte("x"), 1000)
	allocs := testing.AllocsPerRun(100, func() {
		NewFrame(Text, append(Buffer(1000), payload...))
	})
	if allocs != 2 { // the buffer and the frame
		t.Errorf("%v allocations per frame, want 2", allocs)
	}
}

func BenchmarkFrame(b *testing.B) {
	payload := bytes.Repeat([]byte("x"), 100)
	b.ReportAllocs()
	for b.Loop() {
		NewFrame(Text, append(Buffer(len(payload)), payload...))
	}
}

func TestAttachmentsGoTogetherAndAreNeverLeftOut(t *testing.T) {
	f := NewFrame(Text, append(Buffer(4), "lead"...))
	f.Room, f.Position = "r", Position{Epoch: 1, Offset: 2}
	f.Attach([][]byte{[]byte("one"), nil})
	f.Slow = SlowDropOldest
	if len(f.Parts) != 3 {
		t.Fatalf("%d parts", len(f.Parts))
	}
	for i, want := range []string{"\x81\x04lead", "\x82\x03one", "\x82\x00"} {
		p := f.Parts[i]
		if string(p.WebSocket()) != want || p.Slow != SlowDisconnect || p.Parts != nil {
			t.Errorf("part %d: %q, %v", i, p.WebSocket(), p.Slow)
		}
	}
	if lead := f.Parts[0]; lead.Room != "r" || lead.Position != f.Position {
		t.Errorf("the first part stands in %q", lead.Room)
	}
}
