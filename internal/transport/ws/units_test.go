package ws

import (
	"bytes"
	"compress/flate"
	"fmt"
	"strings"
	"testing"
)

var fuzzLimits = limits{payload: 1 << 10, deflated: 2 << 10, fragments: 64, deflate: true}

// frameAll runs bytes through a framer in pieces of the given size and tells
// what came out.
func frameAll(data []byte, piece int) (units []string, broken *fault) {
	var f framer
	var in []byte
	for len(data) > 0 {
		n := min(piece, len(data))
		in = append(in, data[:n]...)
		data = data[n:]
		s := f.scan(in)
		for {
			u, bad := f.next(&s, fuzzLimits)
			if bad != nil {
				return units, bad
			}
			if u.frames == nil {
				break
			}
			units = append(units, fmt.Sprintf("%x %v %d %x", u.op, u.deflated, u.payload, u.frames))
		}
		in = f.rest(&s)
	}
	return units, nil
}

// FuzzFramer checks that the framer neither fails nor depends on how the bytes
// are cut, keeps within its limits, and that what it exposes can be decoded.
func FuzzFramer(f *testing.F) {
	f.Add(concat(text("a"), masked(opText, "b"), masked(fin|opPing, "p"), masked(fin|opContinuation, "c")), 3)
	f.Add(concat(masked(fin|rsv1|opText, "zz"), masked(fin|opClose, "")), 1)
	f.Add([]byte{0x81, 0xFE, 0, 200, 1, 2, 3, 4}, 2)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		piece = 1 + (piece&0x7FFFFFFF)%64
		whole, bad := frameAll(data, len(data)+1)
		cut, bad2 := frameAll(data, piece)
		if fmt.Sprint(whole) != fmt.Sprint(cut) {
			t.Fatalf("whole %v, cut %v", whole, cut)
		}
		if (bad == nil) != (bad2 == nil) || bad != nil && *bad != *bad2 {
			t.Fatalf("whole %v, cut %v", bad, bad2)
		}
		decodeAll(t, data)
	})
}

func decodeAll(t *testing.T, data []byte) {
	var f framer
	var ds decoders
	s := f.scan(bytes.Clone(data))
	for {
		u, bad := f.next(&s, fuzzLimits)
		if bad != nil || u.frames == nil {
			return
		}
		if u.op >= opControl {
			continue
		}
		if u.payload > fuzzLimits.deflated {
			t.Fatalf("a message of %d bytes", u.payload)
		}
		if u.deflated {
			u.frames[0] &^= 0x40
		}
		if p, err := ds.decode(u); err != nil || len(p) != u.payload {
			t.Fatalf("%d of %d bytes, %v", len(p), u.payload, err)
		}
	}
}

// TestDecodersLeakNothingBetweenConnections decodes messages of every shape in
// every order with one decoder and one inflater.
func TestDecodersLeakNothingBetweenConnections(t *testing.T) {
	var ds decoders
	d, err := newDecoder()
	if err != nil {
		t.Fatal(err)
	}
	ds.pool.Put(d)
	in := (&inflaters{}).get()
	final := finalBlock(t, "final block")
	for i, tc := range []struct {
		frames   []byte
		deflated bool
		want     string
	}{
		{text("plain"), false, "plain"},
		{concat(masked(rsv1|opText, final[:3]), masked(fin|opContinuation, final[3:]+"\x00")), true, "final block"},
		{masked(fin|rsv1|opText, deflated(strings.Repeat("long ", 5000))), true, strings.Repeat("long ", 5000)},
		{masked(fin|rsv1|opText, deflated("short")), true, "short"},
		{masked(fin|rsv1|opText, final+deflated("and another")), true, "final blockand another"},
		{masked(fin|rsv1|opText, deflated("")), true, ""},
		{concat(masked(opBinary, ""), masked(opContinuation, "a"), masked(fin|opContinuation, "")), false, "a"},
		{text(""), false, ""},
		{text(strings.Repeat("big", 20_000)), false, strings.Repeat("big", 20_000)},
		{text("end"), false, "end"},
	} {
		var f framer
		s := f.scan(tc.frames)
		u, bad := f.next(&s, limits{payload: 1 << 20, deflated: 1 << 20, fragments: 10, deflate: true})
		if bad != nil {
			t.Fatal(bad)
		}
		u.frames[0] &^= 0x40
		got, err := ds.decode(u)
		if err != nil {
			t.Fatal(i, err)
		}
		if tc.deflated {
			if got, err = in.inflate(got, 1<<20); err != nil {
				t.Fatal(i, err)
			}
		}
		if string(got) != tc.want {
			t.Errorf("%d: got %.40q, want %.40q", i, got, tc.want)
		}
	}
}

// TestABrokenDecoderIsThrownAway feeds half a message, which the framer never
// would, and then a whole one.
func TestABrokenDecoderIsThrownAway(t *testing.T) {
	var ds decoders
	for range 3 {
		half := text("half a message")
		if _, err := ds.decode(unit{op: opText, payload: 14, frames: half[:12]}); err == nil {
			t.Error("half a message was decoded")
		}
		if p, err := ds.decode(unit{op: opText, payload: 5, frames: text("whole")}); err != nil || string(p) != "whole" {
			t.Errorf("%q %v", p, err)
		}
	}
}

// finalBlock is s as a DEFLATE stream that ends with BFINAL set.
func finalBlock(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestSpeed)
	_, _ = w.Write([]byte(s))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func BenchmarkDecode(b *testing.B) {
	var ds decoders
	msg := text(strings.Repeat("x", 100))
	buf := make([]byte, len(msg))
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, msg)
		if _, err := ds.decode(unit{op: opText, payload: 100, frames: buf}); err != nil {
			b.Fatal(err)
		}
	}
}
