package brokertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	roomCount  = 4
	publishers = 4 // per room
	readers    = 5 // per room
)

// crowd runs publishers and readers against each other.
type crowd struct {
	t        *testing.T
	halls    []*hall
	lounges  []*lounge
	keep     broker.Retention
	complete bool          // the log is larger than any backlog
	away     uint64        // how far a room moves on while a reader is away
	done     chan struct{} // closed when the publishers are
	broken   atomic.Bool
}

// RunComplete runs readers and publishers with a history that is larger than
// any backlog: every reader sees every publication once, in one order.
func RunComplete(t *testing.T, h Harness) {
	c := &crowd{t: t, complete: true, away: 500, keep: broker.Retention{Size: 4000, Age: time.Hour}}
	resumed := 0
	for _, r := range c.run(h, h.messages()) {
		resumed += r.resumed
		if r.read != h.messages()/roomCount {
			t.Errorf("%s: read %d of %d", r.name, r.read, h.messages()/roomCount)
		}
	}
	if resumed < h.messages()/200 {
		t.Errorf("%d resumes only", resumed)
	}
	t.Logf("resumed %d times", resumed)
}

// RunLossy runs readers and publishers with a history smaller than backlogs, or
// on a broker that loses history: what a reader misses is refused or announced.
func RunLossy(t *testing.T, h Harness) {
	c := &crowd{t: t, away: 200, keep: broker.Retention{Size: 50, Age: time.Hour}}
	read, refused, resumed := 0, 0, 0
	for _, r := range c.run(h, h.messages()) {
		read, refused, resumed = read+r.read, refused+r.refused, resumed+r.resumed
	}
	if refused == 0 || resumed == 0 {
		t.Errorf("%d refusals and %d resumes: the test proves nothing", refused, resumed)
	}
	t.Logf("read %d, refused or announced %d, resumed %d", read, refused, resumed)
}

func (h Harness) messages() int {
	if h.Messages > 0 {
		return h.Messages
	}
	if os.Getenv("GATEWAY_LONG") != "" {
		return 1_000_000
	}
	return 20_000
}

// run lets the publishers publish so many messages together, and returns the
// readers once they have arrived at the top.
func (c *crowd) run(h Harness, messages int) []*reader {
	ctx := c.t.Context()
	c.done = make(chan struct{})
	start := h.Open(c.t, Settings{HandoffBytes: 16 << 10})
	for range max(1, h.Nodes) {
		hl := &hall{fail: c.fail}
		hl.b = start(hl)
		c.halls = append(c.halls, hl)
	}
	var all []*reader
	for i := range roomCount {
		c.lounges = append(c.lounges, c.lounge(ctx, i))
		all = append(all, c.lounges[i].readers...)
	}
	var publishing, reading sync.WaitGroup
	for i := range roomCount * publishers {
		p := &publisher{
			crowd: c, lounge: c.lounges[i%roomCount], nr: i / roomCount,
			rand: rand.New(rand.NewPCG(0, uint64(i))),
		}
		publishing.Go(func() { p.run(ctx, messages/roomCount/publishers) })
	}
	for _, r := range all {
		reading.Go(func() { r.run(ctx) })
	}
	publishing.Wait()
	close(c.done)
	c.open()
	reading.Wait()
	c.arrived(ctx, all, messages/roomCount)
	return all
}

// open lets everybody go who waits.
func (c *crowd) open() {
	for _, l := range c.lounges {
		l.open()
	}
}

// lounge makes a room with its readers, who begin at its beginning.
func (c *crowd) lounge(ctx context.Context, i int) *lounge {
	l := &lounge{room: fmt.Sprintf("room-%d", i), facts: ledger{fail: c.fail, entries: make(map[place]entry)}}
	l.cond.L = &l.mu
	page, err := c.halls[0].b.History(ctx, l.room, wire.Position{}, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	for j := range readers {
		l.readers = append(l.readers, &reader{
			crowd: c, lounge: l, name: fmt.Sprintf("%s reader %d", l.room, j), last: page.Top,
			heard: make([]int, publishers), rand: rand.New(rand.NewPCG(uint64(j), uint64(i))),
		})
	}
	return l
}

// arrived checks that all readers are where their rooms are, and that rooms
// hold what was published.
func (c *crowd) arrived(ctx context.Context, all []*reader, perRoom int) {
	for _, r := range all {
		page, err := r.halls[0].b.History(ctx, r.lounge.room, wire.Position{}, 0)
		if err != nil || r.last != page.Top {
			c.fail("%s: stopped at %v, top %v, %v", r.name, r.last, page.Top, err)
		}
		if n := r.lounge.facts.size(); n != perRoom {
			c.fail("%s: %d of %d messages have a position", r.lounge.room, n, perRoom)
		}
	}
}

// fail fails the test and ends it soon. Safe for concurrent use, under no
// lounge's lock.
func (c *crowd) fail(format string, args ...any) {
	if !c.broken.Swap(true) {
		c.t.Errorf(format, args...)
		c.open()
	}
}

func (c *crowd) failed() bool { return c.broken.Load() }

// over tells whether the publishers are done.
func (c *crowd) over() bool {
	select {
	case <-c.done:
		return true
	default:
		return c.failed()
	}
}
