package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// server encodes an unmasked frame as a server does.
func server(first byte, payload []byte) []byte {
	n := len(payload)
	b := []byte{first}
	switch {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = append(b, 126, byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

func TestNextNeedsTheWholeFrame(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 70000} {
		payload := bytes.Repeat([]byte("x"), n)
		whole := server(Fin|Text, payload)
		for _, cut := range []int{0, 1, 2, 3, 9, len(whole) / 2, len(whole) - 1} {
			if cut >= len(whole) {
				continue
			}
			if _, _, size, err := Next(whole[:cut]); size != 0 || err != nil {
				t.Fatalf("%d of %d bytes: size %d, %v", cut, len(whole), size, err)
			}
		}
		first, got, size, err := Next(append(bytes.Clone(whole), "rest"...))
		if first != Fin|Text || !bytes.Equal(got, payload) || size != len(whole) || err != nil {
			t.Fatalf("%d bytes: first %x, %d bytes, size %d, %v", n, first, len(got), size, err)
		}
	}
}

func TestWhatAServerMayNotSend(t *testing.T) {
	tests := map[string]struct {
		in   []byte
		want error
	}{
		"a masked frame":            {[]byte{0x81, 0x85, 1, 2, 3, 4, 0}, ErrMasked},
		"a compressed frame":        {[]byte{0xC1, 0}, ErrReserved},
		"opcode 3":                  {[]byte{0x83, 0}, ErrReserved},
		"opcode 11":                 {[]byte{0x8B, 0}, ErrReserved},
		"a fragmented ping":         {[]byte{0x09, 0}, ErrControl},
		"a long close":              {append([]byte{0x88, 126, 0, 126}, make([]byte, 126)...), ErrControl},
		"a frame without end":       {[]byte{0x81, 127, 0x7F, 0, 0, 0, 0, 0, 0, 0}, ErrTooBig},
		"a masked frame, 16 bits":   {[]byte{0x81, 0xFE, 0, 200}, ErrMasked},
		"a length with its top bit": {[]byte{0x81, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0}, ErrTooBig},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, _, _, err := Next(tt.in); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestMaskedFramesCanBeUnmasked(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 125, 126, 65535, 65536} {
		payload := make([]byte, n)
		for i := range payload {
			payload[i] = byte(i * 31)
		}
		b := AppendMasked([]byte("before"), Text, payload, 0xA1B2C3D4)[6:]
		head := 2
		switch b[1] & 0x7F {
		case 126:
			head = 4
		case 127:
			head = 10
		}
		if b[0] != Fin|Text || b[1]&0x80 == 0 || len(b) != head+4+n {
			t.Fatalf("%d bytes: header % x, length %d", n, b[:head], len(b))
		}
		key, body := b[head:head+4], b[head+4:]
		for i := range body {
			body[i] ^= key[i%4]
		}
		if !bytes.Equal(body, payload) {
			t.Fatalf("%d bytes: payload differs", n)
		}
	}
}

func TestCloseStatus(t *testing.T) {
	if code, reason := CloseStatus([]byte{0x03, 0xF4, 'b', 'y', 'e'}); code != 1012 || reason != "bye" {
		t.Error(code, reason)
	}
	if code, _ := CloseStatus(nil); code != 1005 {
		t.Error(code)
	}
}

func TestCheckResponse(t *testing.T) {
	o := NewOpening("h:1", "/ws", "gateway.v1")
	ok := "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nsec-websocket-accept: " + string(o.accept) +
		"\r\nSec-WebSocket-Protocol:gateway.v1\r\n\r\n"
	if n, err := o.CheckResponse([]byte(ok + "rest")); n != len(ok) || err != nil {
		t.Error(n, err)
	}
	if n, err := o.CheckResponse([]byte(ok[:len(ok)-1])); n != 0 || err != nil {
		t.Error("incomplete:", n, err)
	}
	for name, bad := range map[string]string{
		"503":      "HTTP/1.1 503 Service Unavailable\r\n\r\nbusy",
		"Accept":   "HTTP/1.1 101 x\r\nSec-WebSocket-Protocol: gateway.v1\r\n\r\n",
		"subproto": strings.Replace(ok, "gateway.v1", "other", 1),
		"above":    strings.Repeat("x", maxResponse+1),
	} {
		if _, err := o.CheckResponse([]byte(bad)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	req := string(o.AppendRequest(nil, []byte("bench-1")))
	if !strings.HasPrefix(req, "GET /ws HTTP/1.1\r\nHost: h:1\r\n") ||
		!strings.HasSuffix(req, "Authorization: Bearer bench-1\r\n\r\n") {
		t.Error(req)
	}
}

// FuzzNext holds two properties: Next never reads past its input or loops, and
// what it yields does not depend on where a stream is cut.
func FuzzNext(f *testing.F) {
	f.Add(server(Fin|Text, []byte(`{"event":"pong"}`)), 3)
	f.Add(append(server(Text, []byte("a")), server(Fin|Continuation, bytes.Repeat([]byte("b"), 300))...), 7)
	f.Add([]byte{0x89, 0, 0x8A, 126, 0, 200}, 1)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		whole, wholeErr := all(in, len(in)+1)
		cut, cutErr := all(in, max(step%64, 1))
		if !bytes.Equal(whole, cut) || !errors.Is(cutErr, wholeErr) {
			t.Fatalf("whole % x (%v), cut % x (%v)", whole, wholeErr, cut, cutErr)
		}
	})
}

// all feeds in with at most step new bytes at a time and joins what comes out.
func all(in []byte, step int) (out []byte, err error) {
	var have []byte
	for {
		for {
			first, payload, size, err := Next(have)
			if err != nil {
				return out, err
			}
			if size == 0 {
				break
			}
			if size > len(have) || len(payload) > size {
				panic("read past the input")
			}
			out = append(append(out, first), payload...)
			have = have[size:]
		}
		if len(in) == 0 {
			return out, nil
		}
		n := min(step, len(in))
		have, in = append(have, in[:n]...), in[n:]
	}
}

func BenchmarkNext(b *testing.B) {
	in := bytes.Repeat(server(Fin|Text, bytes.Repeat([]byte("x"), 190)), 32)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		for rest := in; len(rest) > 0; {
			_, _, size, _ := Next(rest)
			rest = rest[size:]
		}
	}
}
