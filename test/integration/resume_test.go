package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/moonx-farm/ws-gateway/internal/router"
)

const (
	publishers  = 4
	subscribers = 6
	room        = "log"
)

// body is the data of each publication: its publisher and its number there,
// from 1.
type body struct{ P, S uint64 }

// stream is one run of publishers and subscribers.
type stream struct {
	g     *gateway
	total uint64
	// ahead is how far publishers may be before the slowest subscriber; 0 does
	// not hold them.
	ahead uint64

	acked   atomic.Uint64
	seen    [subscribers]atomic.Uint64 // last offset of each subscriber
	resumes atomic.Int64
	refused atomic.Int64

	mu     sync.Mutex
	moved  *sync.Cond // a subscriber has seen more, or all is over
	ending bool       // guarded by mu
}

func newStream(g *gateway, total, ahead uint64) *stream {
	s := &stream{g: g, total: total, ahead: ahead}
	s.moved = sync.NewCond(&s.mu)
	return s
}

// publish is one publisher. Two are clients with idempotency keys, which now
// and then send a publish twice, as after a lost reply; two are backends.
func (s *stream) publish(ctx context.Context, p uint64) error {
	defer s.wake(false)
	if p%2 == 0 {
		return s.publishAsBackend(ctx, p)
	}
	c, err := s.g.dial(ctx, fmt.Sprint("publisher-", p))
	if err != nil {
		return err
	}
	defer c.cut()
	for n := uint64(1); n <= s.total/publishers; n++ {
		s.hold()
		m := fmt.Appendf(nil, `{"event":"publish","id":1,"data":{"room":%q,"event":"m","data":{"P":%d,"S":%d},"idempotencyKey":"%d"}}`, room, p, n, n)
		for range 1 + n%100/99 {
			if err := c.Write(ctx, websocket.MessageText, m); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
			if _, err := c.until(ctx, "published"); err != nil {
				return fmt.Errorf("published: %w", err)
			}
		}
		s.acked.Add(1)
	}
	return nil
}

func (s *stream) publishAsBackend(ctx context.Context, p uint64) error {
	for n := uint64(1); n <= s.total/publishers; n++ {
		s.hold()
		data := fmt.Appendf(nil, `{"P":%d,"S":%d}`, p, n)
		if _, err := s.g.router.SendRoom(ctx, room, router.Outgoing{Event: "m", Data: data}); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		s.acked.Add(1)
	}
	return nil
}

// hold waits while publishers are too far ahead.
func (s *stream) hold() {
	if s.ahead == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.ending && s.acked.Load() > s.slowest()+s.ahead {
		s.moved.Wait()
	}
}

func (s *stream) slowest() uint64 {
	least := s.seen[0].Load()
	for i := range s.seen {
		least = min(least, s.seen[i].Load())
	}
	return least
}

func (s *stream) wake(ending bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = s.ending || ending
	s.moved.Broadcast()
}

// reader is one subscriber over all its connections.
type reader struct {
	s      *stream
	index  int
	last   uint64 // offset
	pos    string
	each   [publishers]uint64 // last number of each publisher
	digest uint64
	holes  bool // refusals may leave holes, said ones
}

// read subscribes until everything was seen, over connections that end at
// random moments in random ways.
func (r *reader) read(ctx context.Context, first string) error {
	r.pos = first
	for r.last < r.s.total {
		c, err := r.s.g.dial(ctx, fmt.Sprint("subscriber-", r.index))
		if err != nil {
			return err
		}
		err = r.follow(ctx, c)
		c.cut()
		// 4008: slower than the room; one resumes, as after any other end.
		if err != nil && websocket.CloseStatus(err) != 4008 {
			return fmt.Errorf("subscriber %d at offset %d: %w", r.index, r.last, err)
		}
	}
	return nil
}

// follow joins and reads on one connection for a random while.
func (r *reader) follow(ctx context.Context, c *client) error {
	for range 1 + rand.IntN(3) {
		if err := r.resume(ctx, c); err != nil {
			return err
		}
		for range rand.IntN(4000) {
			if r.last >= r.s.total {
				return nil
			}
			m, err := c.read(ctx)
			if err != nil {
				return fmt.Errorf("read: %w", err)
			}
			if m.Event != "m" {
				continue
			}
			if err := r.take(m); err != nil {
				return err
			}
		}
		// Join again on the same connection, or end it: politely, or not.
	}
	if rand.IntN(2) == 0 {
		_ = c.Close(websocket.StatusNormalClosure, "")
	}
	return nil
}

// resume joins from the last position. What the connection had under way
// before its room_joined is skipped: it comes again.
func (r *reader) resume(ctx context.Context, c *client) error {
	j, err := c.join(ctx, room, r.pos)
	if err != nil {
		return err
	}
	r.s.resumes.Add(1)
	if j.Recovered {
		if j.Offset != r.last {
			return fmt.Errorf("recovered from offset %d, want %d", j.Offset, r.last)
		}
		return nil
	}
	if !r.holes || j.Reason == "" || j.Offset < r.last {
		return fmt.Errorf("not recovered: %+v", j)
	}
	r.s.refused.Add(1)
	r.last, r.pos = j.Offset, j.Pos
	r.tell()
	return nil
}

func (r *reader) take(m message) error {
	var b body
	if err := json.Unmarshal(m.Data, &b); err != nil {
		return err
	}
	if m.Offset != r.last+1 {
		return fmt.Errorf("offset %d after %d: a silent hole or a duplicate", m.Offset, r.last)
	}
	if before := r.each[b.P]; b.S != before+1 && !(r.holes && b.S > before) {
		return fmt.Errorf("publisher %d: message %d after %d", b.P, b.S, before)
	}
	r.each[b.P], r.last, r.pos = b.S, m.Offset, m.Pos
	r.digest = (r.digest ^ (b.P<<32 | b.S)) * 0x100000001b3
	r.tell()
	return nil
}

func (r *reader) tell() {
	r.s.seen[r.index].Store(r.last)
	if r.s.ahead > 0 && r.last%256 == 0 || r.last == r.s.total {
		r.s.wake(false)
	}
}

// run publishes everything while everybody subscribes, and returns the
// readers.
func (s *stream) run(t *testing.T, holes bool) []*reader {
	t.Helper()
	ctx := patience(t)
	c, err := s.g.dial(ctx, "first")
	if err != nil {
		t.Fatal(err)
	}
	empty, err := c.join(ctx, room, "")
	if err != nil || empty.Pos == "" || empty.Offset != 0 {
		t.Fatalf("joined an empty room as %+v, %v", empty, err)
	}
	c.cut()
	group, ctx := errgroup.WithContext(ctx)
	context.AfterFunc(ctx, func() { s.wake(true) })
	readers := make([]*reader, subscribers)
	for i := range readers {
		readers[i] = &reader{s: s, index: i, holes: holes}
		group.Go(func() error { return readers[i].read(ctx, empty.Pos) })
	}
	for p := range uint64(publishers) {
		group.Go(func() error { return s.publish(ctx, p) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return readers
}

func policyWith(size int) string {
	return fmt.Sprintf("version: 1\nrooms:\n  - match: %s\n    join: anyone\n    publish: anyone\n    history: {size: %d}\n", room, size)
}

func TestEverySubscriberSeesEveryMessageOnceAndInOrder(t *testing.T) {
	total := uint64(20_000)
	if long() {
		total = 1_000_000
	}
	const ahead = 20_000
	g := start(t, policyWith(2*ahead), "SEND_QUEUE_BYTES=16777216")
	s := newStream(g, total, ahead)
	readers := s.run(t, false)
	for _, r := range readers {
		if r.last != total || r.digest != readers[0].digest {
			t.Errorf("subscriber %d: ended at %d, or in another order than the first", r.index, r.last)
		}
		for p, n := range r.each {
			if n != total/publishers {
				t.Errorf("subscriber %d has %d messages of publisher %d", r.index, n, p)
			}
		}
	}
	t.Logf("%d messages to %d subscribers over %d joins, mode %s", total, subscribers, s.resumes.Load(), g.transport.Mode())
}

func TestASmallHistoryRefusesAndNeverHidesAHole(t *testing.T) {
	total := uint64(20_000)
	if long() {
		total = 1_000_000
	}
	g := start(t, policyWith(50))
	s := newStream(g, total, 0)
	s.run(t, true)
	if s.refused.Load() == 0 {
		t.Error("no resume was refused: the test shows nothing")
	}
	t.Logf("%d messages, %d joins, %d refused", total, s.resumes.Load(), s.refused.Load())
}
