package membroker

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// The log against a plain list of everything ever appended.
func TestALogIsTheEndOfEverythingAppended(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var l logbook
	var all []*wire.Publication
	trimmed, now := 0, int64(1_000_000)
	for range 20_000 {
		switch now += int64(random.IntN(3)); random.IntN(8) {
		case 0:
			size := 1 + random.IntN(60)
			l.limit(size, 1<<30)
			trimmed = max(trimmed, len(all)-size)
		case 1:
			age := 20 + random.IntN(200)
			n := l.expire(time.Duration(age)*time.Millisecond, now, 1<<30)
			for ; trimmed < len(all) && all[trimmed].Time <= now-int64(age); trimmed++ {
				n--
			}
			if n != 0 {
				t.Fatalf("%d more have expired than should", n)
			}
		default:
			p := &wire.Publication{Time: now}
			p.Position = wire.Position{Epoch: 1, Offset: uint64(len(all)) + 1, Nonce: 1 + random.Uint64N(1<<40)}
			all = append(all, p)
			l.append(p)
		}
		if got := l.page(0, broker.NoLimit); !slices.Equal(got, all[trimmed:]) {
			t.Fatalf("%d entries, want %d", len(got), len(all)-trimmed)
		}
		if len(all) == 0 {
			continue
		}
		// Any position that ever was, or a beginning, or one ahead.
		at := random.IntN(len(all) + 2)
		since := mark{offset: uint64(at)}
		if at > 0 && at <= len(all) {
			since.nonce = all[at-1].Position.Nonce
		}
		index, err := l.resume(since)
		var refusal *broker.InsufficientStateError
		switch honoured := at >= trimmed && at <= len(all); {
		case honoured && (err != nil || index != at-trimmed):
			t.Fatalf("resume from %d of %d to %d: index %d, %v", at, trimmed, len(all), index, err)
		case !honoured && !errors.As(err, &refusal):
			t.Fatalf("resume from %d of %d to %d: index %d", at, trimmed, len(all), index)
		}
		// A repeated nonce is found in the window, or at the trim mark.
		back := 1 + random.IntN(min(len(all), 100))
		p := all[len(all)-back]
		m, ok := l.find(p.Position.Nonce)
		known := back <= dedupWindow && len(all)-back >= trimmed || len(all)-back == trimmed-1
		if ok != known || ok && m != (mark{p.Position.Offset, p.Position.Nonce}) {
			t.Fatalf("nonce of %d, trimmed %d, top %d: found %v %v", p.Position.Offset, trimmed, len(all), m, ok)
		}
	}
}

func TestALogKeepsItsNewestEntryWhateverItsSize(t *testing.T) {
	var l logbook
	for i := range 3 {
		l.append(&wire.Publication{Data: make([]byte, 1000), Position: wire.Position{Offset: uint64(i) + 1, Nonce: 7}})
		l.limit(10, 500)
		if l.ring.Len() != 1 || l.top().offset != uint64(i)+1 || l.bytes != 1000+entryCost {
			t.Errorf("%d entries of %d bytes, top %v", l.ring.Len(), l.bytes, l.top())
		}
	}
}

func TestAnEntryExpiresExactlyAtItsAge(t *testing.T) {
	var l logbook
	l.append(&wire.Publication{Time: 1000, Position: wire.Position{Offset: 1, Nonce: 7}})
	if n := l.expire(500*time.Millisecond, 1499, 10); n != 0 {
		t.Error("too early")
	}
	if n := l.expire(0, 1<<40, 10); n != 0 {
		t.Error("without an age")
	}
	if n := l.expire(500*time.Millisecond, 1500, 10); n != 1 || l.ring.Cap() != 0 {
		t.Error("too late")
	}
}
