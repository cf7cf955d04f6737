//go:build linux

package baseline

import (
	"testing"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/frame"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
)

func TestBatchesAreFramesInOrder(t *testing.T) {
	const perBatch = 32
	r := newRing(100, perBatch)
	seq := uint64(0)
	for n := range uint64(3) {
		r.begin(1)
		for b := r.slots[n%slots].buf; len(b) > 0; {
			_, payload, size, err := frame.Next(b)
			var e gwproto.Envelope
			if err != nil || size == 0 || !gwproto.Scan(payload, &e) {
				t.Fatalf("%q: %v", payload, err)
			}
			seq++
			if body, ok := gwproto.ScanBody(e.Data); !ok || body.Seq != seq || e.Offset != seq || len(e.Data) != 100 {
				t.Fatalf("%d: %s", seq, payload)
			}
			b = b[size:]
		}
	}
	if seq != 3*perBatch || r.open != 3 {
		t.Errorf("%d frames, %d batches open", seq, r.open)
	}
	if r.leave(0) != 3 || r.open != 0 {
		t.Error("batches stay open")
	}
}
