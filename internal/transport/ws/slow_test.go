package ws

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/wheel"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// says makes frames that a test can read.
type says struct{}

func (says) Gap(room string, g wire.Gap) *wire.Frame {
	f := textFrame(fmt.Sprintf("gap %s %s %d-%d", room, g.Reason, g.From, g.Top.Offset))
	f.Room = room
	return f
}

func (says) Skipped(f *wire.Frame, n uint64) *wire.Frame {
	return textFrame(fmt.Sprintf("%s skipped %d", f.Payload(), n))
}

// publication is a frame of a room: "room offset key padding".
func publication(slow wire.SlowPolicy, room string, offset uint64, key string, pad int) *wire.Frame {
	f := textFrame(fmt.Sprintf("pub %s %d %s%s", room, offset, key, strings.Repeat(".", pad)))
	f.Room, f.Position, f.ConflateKey, f.Slow, f.Notices = room, wire.Position{Epoch: 1, Offset: offset}, key, slow, says{}
	return f
}

// window is a socket whose peer takes what the test lets it.
type window struct {
	open int
	out  bytes.Buffer
}

func (w *window) read([]byte) (int, error) { return 0, errAgain }
func (w *window) write(segs [][]byte) (int, error) {
	n := 0
	for _, p := range segs {
		if len(p) > w.open {
			w.out.Write(p[:w.open])
			n += w.open
			w.open = 0
			return n, errAgain
		}
		w.out.Write(p)
		n += len(p)
		w.open -= len(p)
	}
	return n, nil
}
func (w *window) arm(*conn, bool, bool) error { return nil }
func (w *window) closeWrite() bool            { return true }
func (w *window) cut(bool)                    {}
func (w *window) free()                       {}

// slowRig is a parked connection whose flusher is the test.
type slowRig struct {
	*conn
	t testing.TB
	w *window
	b *batch
}

func newSlowRig(t testing.TB, cfg Config) *slowRig {
	t.Helper()
	cfg.Mode = ModeGoroutine // no workers
	s, err := New(cfg, wheel.New(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return slowRigOn(t, s)
}

func slowRigOn(t testing.TB, s *Server) *slowRig {
	t.Helper()
	w := &window{}
	c := &conn{srv: s, sock: w, parked: true, shard: s.flushers[0], role: readerBusy}
	if !s.table.add(c) {
		t.Fatal("the table is shut")
	}
	return &slowRig{conn: c, t: t, w: w, b: newBatch()}
}

// block fills the peer's window.
func (r *slowRig) block() {
	r.t.Helper()
	r.Send(textFrame("first"))
	r.take(3)
	if !r.blocked {
		r.t.Fatal("not blocked")
	}
}

// take lets the peer take n bytes more and writes.
func (r *slowRig) take(n int) {
	r.w.open = n
	r.mu.Lock()
	if r.blocked {
		r.blocked = false
		r.scheduled = true
	}
	r.mu.Unlock()
	for r.writeOnce(r.b) {
	}
	r.audit()
}

// audit checks the books of the connection.
func (r *slowRig) audit() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := 0
	if r.queue != nil {
		sum = -r.queue.sent
		for _, it := range r.queue.items[r.queue.head:] {
			sum += r.sizeLocked(it)
		}
	}
	if sum != r.queued || r.held > r.queued || r.fresh > r.queued || r.blocked && r.held != r.queued {
		r.t.Fatalf("%d bytes are queued, the books say %d, held %d, fresh %d, blocked %v", sum, r.queued, r.held, r.fresh, r.blocked)
	}
	if n := r.srv.pending(); n != int64(r.fresh) {
		r.t.Fatalf("%d bytes pending, %d fresh", n, r.fresh)
	}
}

// messages is what the peer has got, whole messages.
func (r *slowRig) messages() []string {
	r.t.Helper()
	r.take(1 << 30)
	var all []string
	for p := r.w.out.Bytes(); len(p) > 0; {
		n, h := int(p[1]), 2
		switch n {
		case 126:
			n, h = int(binary.BigEndian.Uint16(p[2:])), 4
		case 127:
			n, h = int(binary.BigEndian.Uint64(p[2:])), 10
		}
		all = append(all, strings.TrimSpace(strings.ReplaceAll(string(p[h:h+n]), ".", "")))
		p = p[h+n:]
	}
	return all
}

func TestSlowPolicies(t *testing.T) {
	const drop, conflate, cut = wire.SlowDropOldest, wire.SlowConflate, wire.SlowDisconnect
	event := func(room string) *wire.Frame {
		f := textFrame("event of " + room)
		f.Room = room
		return f
	}
	for name, tc := range map[string]struct {
		send []*wire.Frame // with a bound of 1000 bytes
		want []string
	}{
		"drop_oldest leaves one gap where the oldest were": {
			[]*wire.Frame{publication(drop, "r", 1, "", 290), publication(drop, "r", 2, "", 290), publication(drop, "r", 3, "", 290), publication(drop, "r", 4, "", 90)},
			[]string{"gap r slow 0-2", "pub r 3", "pub r 4"}},
		"holes that meet are one gap": {
			[]*wire.Frame{publication(drop, "r", 1, "", 390), publication(drop, "r", 2, "", 390), publication(drop, "r", 3, "", 390), publication(drop, "r", 4, "", 390), publication(drop, "r", 5, "", 90)},
			[]string{"gap r slow 0-3", "pub r 4", "pub r 5"}},
		"a publication that fits nowhere is a gap at the end": {
			[]*wire.Frame{textFrame(strings.Repeat("x", 900)), publication(drop, "r", 8, "", 290), publication(drop, "r", 9, "", 290)},
			[]string{strings.Repeat("x", 900), "gap r slow 7-9"}},
		"each room has its own gap": {
			[]*wire.Frame{textFrame(strings.Repeat("x", 900)), publication(drop, "r", 8, "", 290), publication(drop, "q", 3, "", 290), publication(drop, "r", 9, "", 290)},
			[]string{strings.Repeat("x", 900), "gap r slow 7-9", "gap q slow 2-3"}},
		"replies and other rooms are kept in their order": {
			[]*wire.Frame{publication(drop, "r", 1, "", 390), textFrame("reply"), publication(cut, "q", 1, "", 90), publication(drop, "r", 2, "", 390), textFrame("another"), publication(drop, "r", 3, "", 300)},
			[]string{"gap r slow 0-2", "reply", "pub q 1", "another", "pub r 3"}},
		"a room's event keeps its place between two gaps": {
			[]*wire.Frame{publication(drop, "r", 1, "", 390), event("r"), publication(drop, "r", 2, "", 390), textFrame(strings.Repeat("x", 500))},
			[]string{"gap r slow 0-1", "event of r", "gap r slow 1-2", strings.Repeat("x", 500)}},
		"without history a gap has no offsets": {
			[]*wire.Frame{textFrame(strings.Repeat("x", 900)), publication(drop, "r", 0, "", 290)},
			[]string{strings.Repeat("x", 900), "gap r slow 0-0"}},
		"conflate keeps the latest of each key": {
			[]*wire.Frame{publication(conflate, "r", 1, "a", 200), publication(conflate, "r", 2, "b", 200), publication(conflate, "r", 3, "a", 200), publication(conflate, "r", 4, "a", 200)},
			[]string{"pub r 2 b skipped 1", "pub r 4 a skipped 1"}},
		"a peer behind gets the latest though there is room": {
			[]*wire.Frame{publication(conflate, "r", 1, "a", 0), publication(conflate, "r", 2, "a", 0), publication(conflate, "q", 7, "a", 0), publication(conflate, "r", 3, "a", 0)},
			[]string{"pub q 7 a", "pub r 3 a skipped 2"}},
		"publications without a key are all kept": {
			[]*wire.Frame{publication(conflate, "r", 1, "", 0), publication(conflate, "r", 2, "", 0), publication(conflate, "r", 3, "a", 0)},
			[]string{"pub r 1", "pub r 2", "pub r 3 a"}},
		"what an event of the room stands between is not counted": {
			[]*wire.Frame{publication(conflate, "r", 1, "a", 0), event("r"), publication(conflate, "r", 2, "b", 0), publication(conflate, "r", 3, "a", 0)},
			[]string{"event of r", "pub r 2 b", "pub r 3 a"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newSlowRig(t, Config{SendQueueBytes: 1000})
			r.block()
			for i, f := range tc.send {
				if !r.Send(f) {
					t.Fatalf("frame %d was not taken", i)
				}
				r.audit()
			}
			got := r.messages()
			if want := append([]string{"first"}, tc.want...); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("\n got %q\nwant %q", got, want)
			}
			if r.srv.budget.total.Load() != 0 {
				t.Errorf("%d bytes are held", r.srv.budget.total.Load())
			}
		})
	}
}

func TestWhatNoPolicyAllowsToLeaveOutEndsTheConnection(t *testing.T) {
	for name, f := range map[string]*wire.Frame{
		"disconnect": publication(wire.SlowDisconnect, "r", 1, "", 390),
		"a reply":    textFrame(strings.Repeat("x", 390)),
		"more keys than fit, for conflation must not lose the latest": publication(wire.SlowConflate, "r", 1, "c", 390),
	} {
		t.Run(name, func(t *testing.T) {
			r := newSlowRig(t, Config{SendQueueBytes: 1000})
			r.block()
			r.Send(publication(wire.SlowConflate, "r", 1, "a", 390))
			r.Send(publication(wire.SlowConflate, "r", 2, "b", 390))
			if r.Send(f) {
				t.Fatal("taken")
			}
			got := r.messages()
			if want := []string{"first", "\x0f\xa8send queue full"}; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%q", got)
			}
			if r.srv.Stats().SlowCuts != 1 {
				t.Error("not counted")
			}
		})
	}
}

func TestAGapThatWasOfferedAndNotTakenStillGrows(t *testing.T) {
	r := newSlowRig(t, Config{SendQueueBytes: 1000})
	r.block()
	big := strings.Repeat("x", 900)
	r.Send(textFrame(big))
	r.Send(publication(wire.SlowDropOldest, "r", 8, "", 290))
	r.take(100) // the gap is encoded and offered
	r.Send(publication(wire.SlowDropOldest, "r", 9, "", 290))
	r.audit()
	if got := r.messages(); got[len(got)-1] != "gap r slow 7-9" || len(got) != 3 {
		t.Errorf("%.60q", got)
	}
}

// TestSlowPoliciesTellEveryHole sends at random to a peer that reads at random
// and lets it check what it gets.
func TestSlowPoliciesTellEveryHole(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := newSlowRig(t, Config{SendQueueBytes: 4000 + rnd.IntN(4000)})
		r.block()
		sent := map[string]uint64{}
		latest := map[string]uint64{} // room and key
		for range 400 {
			room := string(rune('a' + rnd.IntN(4)))
			slow := wire.SlowDropOldest
			key := ""
			if room > "b" {
				slow, key = wire.SlowConflate, string(rune('A'+rnd.IntN(4)))
			}
			sent[room]++
			latest[room+key] = sent[room]
			if !r.Send(publication(slow, room, sent[room], key, rnd.IntN(300))) {
				t.Fatalf("seed %d: cut", seed)
			}
			r.audit()
			if r.queued > 2*r.srv.cfg.SendQueueBytes {
				t.Fatalf("seed %d: %d bytes are queued", seed, r.queued)
			}
			if rnd.IntN(3) == 0 {
				r.take(rnd.IntN(1500))
			}
		}
		checkStream(t, seed, r.messages()[1:], sent, latest)
	}
}

func checkStream(t *testing.T, seed uint64, got []string, sent, latest map[string]uint64) {
	t.Helper()
	has := map[string]uint64{}
	gap := map[string]bool{}
	for _, m := range got {
		var room, key, reason string
		var from, offset, skipped uint64
		if n, _ := fmt.Sscanf(m, "gap %s %s %d-%d", &room, &reason, &from, &offset); n == 4 {
			if from != has[room] || offset <= from || gap[room] || room > "b" {
				t.Fatalf("seed %d: %q after %d, gap before: %v", seed, m, has[room], gap[room])
			}
			has[room], gap[room] = offset, true
			continue
		}
		fields := strings.Fields(m)
		if _, err := fmt.Sscanf(m, "pub %s %d", &room, &offset); err != nil {
			t.Fatalf("seed %d: %q", seed, m)
		}
		if room > "b" {
			key = fields[3]
			key = key[:1]
		}
		if i := strings.Index(m, "skipped"); i > 0 {
			_, _ = fmt.Sscanf(m[i:], "skipped %d", &skipped)
		}
		if offset != has[room]+1+skipped {
			t.Fatalf("seed %d: %q after %d", seed, m, has[room])
		}
		has[room], gap[room] = offset, false
		if latest[room+key] == offset {
			delete(latest, room+key)
		}
	}
	for room, n := range sent {
		if has[room] != n {
			t.Fatalf("seed %d: %s ends at %d of %d", seed, room, has[room], n)
		}
	}
	for key := range latest {
		if key > "c" {
			t.Fatalf("seed %d: the latest of %s did not come", seed, key)
		}
	}
}

func TestAPeerThatReadsLosesNothingToItsPolicies(t *testing.T) {
	r := newSlowRig(t, Config{SendQueueBytes: 1000})
	for i := range uint64(100) {
		r.Send(publication(wire.SlowConflate, "r", i+1, "k", 90))
		r.Send(publication(wire.SlowDropOldest, "q", i+1, "", 90))
		r.take(1 << 20)
	}
	if got := r.messages(); len(got) != 200 || r.srv.Stats().Conflated != 0 || r.srv.Stats().Dropped != 0 {
		t.Errorf("%d messages", len(got))
	}
}
