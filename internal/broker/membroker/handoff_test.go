package membroker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/brokertest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestWhatWasPublishedBeforeStartIsDeliveredFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, sink := New(Config{}), brokertest.NewRecorder(t)
		say(t, b, "room", "1", kept)
		b.Start(sink)
		defer shutdown(t, b)
		b.Start(brokertest.NewRecorder(t)) // ignored: the first sink gets everything
		say(t, b, "room", "2", kept)
		if pubs := sink.Pubs("room", 2); string(pubs[0].Data) != "1" || string(pubs[1].Data) != "2" {
			t.Errorf("delivered %s, then %s", pubs[0].Data, pubs[1].Data)
		}
		audit(t, b)
	})
}

func TestALoneWorkerThatIsIdleIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := brokertest.NewRecorder(t)
		b := start(t, Config{}, sink, WithWorkers(1))
		for i := range 3 {
			synctest.Wait()
			say(t, b, "room", "1", kept)
			sink.Pubs("room", i+1)
		}
	})
}

// watcher is a Sink that keeps weak pointers to what it gets.
type watcher struct {
	mu   sync.Mutex
	seen []weak.Pointer[wire.Publication]
}

func (w *watcher) Deliver(_ string, pubs []*wire.Publication) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range pubs {
		w.seen = append(w.seen, weak.Make(p))
	}
}

func (w *watcher) Gap(string, wire.Gap) {}

func TestNothingHoldsAPublicationThatIsNotKept(t *testing.T) {
	sink := &watcher{}
	b := start(t, Config{}, sink, WithWorkers(1))
	for range 2 * batchSize {
		say(t, b, "room", "1", broker.Retention{})
	}
	quiet(t, b)
	runtime.GC()
	sink.mu.Lock()
	defer sink.mu.Unlock()
	for i, p := range sink.seen {
		if p.Value() != nil {
			t.Errorf("publication %d of %d is still held", i, len(sink.seen))
		}
	}
}

func TestARoomWhoseSinkStallsHoldsOneWorkerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := brokertest.NewRecorder(t)
		b := start(t, Config{}, sink, WithWorkers(3))
		for _, room := range []string{"slow-1", "slow-2"} {
			sink.Stall(room)
			for range 200 {
				say(t, b, room, "1", kept)
			}
		}
		for i := range 1000 {
			say(t, b, fmt.Sprint("room-", i%100), "1", kept)
		}
		for i := range 100 {
			sink.Pubs(fmt.Sprint("room-", i), 10)
		}
		synctest.Wait()
		if n := len(sink.Events("slow-1")) + len(sink.Events("slow-2")); n != 0 {
			t.Errorf("%d deliveries to rooms that stall", n)
		}
		if st := b.Stats(); st.Busy != 2 {
			t.Errorf("%d rooms have something to hand over", st.Busy)
		}
	})
}

// fillRoom publishes until a publish would block, and returns how many did not.
func fillRoom(t *testing.T, b *Broker, room string) int {
	t.Helper()
	for n := range 100_000 {
		_, err := b.TryPublish(draft(room, "1", kept))
		if errors.Is(err, broker.ErrWouldBlock) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the hand-off has no bound")
	return 0
}

func TestTryPublishDoesNothingWhereAPublishWouldWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := brokertest.NewRecorder(t)
		b := start(t, Config{HandoffBytes: 10_000}, sink)
		goOn := sink.Stall("room")
		n := fillRoom(t, b, "room")
		p := draft("room", "1", kept)
		if cost := publicationCost(&p.Publication); int64(n) != 10_000/cost {
			t.Errorf("%d publications of %d bytes wait in 10,000", n, cost)
		}
		if got := top(t, b, "room"); got.Offset != uint64(n) {
			t.Errorf("top %v after %d publishes", got, n)
		}
		p.IdempotencyKey = "key"
		if _, err := b.TryPublish(p); !errors.Is(err, broker.ErrWouldBlock) {
			t.Errorf("error %v", err)
		}
		if st := b.Stats(); st.Keys != 0 || st.Published != uint64(n) || st.Waits != 2 {
			t.Errorf("%+v", st)
		}
		if _, err := b.TryPublish(draft("other", "1", kept)); err != nil {
			t.Errorf("another room waits too: %v", err)
		}
		goOn()
		quiet(t, b)
		if _, err := b.TryPublish(p); err != nil {
			t.Errorf("error %v once the Sink goes on", err)
		}
		quiet(t, b)
	})
}

func TestAPublicationLargerThanTheHandoffPassesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := brokertest.NewRecorder(t)
		b := start(t, Config{HandoffBytes: 500}, sink)
		for i := range 20 {
			say(t, b, "room", bulk+fmt.Sprint(i), kept)
		}
		sink.Pubs("room", 20)
		quiet(t, b)
	})
}

func TestAFullProcessMakesEveryRoomWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := brokertest.NewRecorder(t)
		b := start(t, Config{MemoryBytes: 40_000, HandoffBytes: 4000}, sink, WithWorkers(20))
		var goOn []func()
		for i := 0; ; i++ {
			room := fmt.Sprint("slow-", i)
			goOn = append(goOn, sink.Stall(room))
			if fillRoom(t, b, room) < 4000/300 {
				break
			}
		}
		if _, err := b.TryPublish(draft("other", "1", kept)); !errors.Is(err, broker.ErrWouldBlock) {
			t.Fatalf("error %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Publish(ctx, draft("other", "1", kept)); !wire.IsCode(err, wire.Unavailable) {
			t.Errorf("error %v", err)
		}
		if n := b.Stats().HandoffBytes; n > 10_000 || n < 10_000-300 {
			t.Errorf("%d bytes wait in 10,000", n)
		}
		var through atomic.Int64
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				say(t, b, fmt.Sprint("other-", i%7), "1", kept)
				through.Add(1)
			})
		}
		synctest.Wait()
		if n := through.Load(); n != 0 {
			t.Errorf("%d publishes did not wait", n)
		}
		for _, f := range goOn {
			f()
		}
		wg.Wait()
		quiet(t, b)
		if b.crowd.Crowded() {
			t.Error("somebody still waits")
		}
	})
}

// laggard is a Sink that takes its time, and counts.
type laggard struct {
	got [8]struct {
		busy, pubs, gaps atomic.Int64
	}
	overlap atomic.Bool
}

func (l *laggard) Deliver(room string, pubs []*wire.Publication) {
	g := &l.got[room[0]-'0']
	if g.busy.Add(1) != 1 {
		l.overlap.Store(true)
	}
	for range 3 {
		time.Sleep(0)
	}
	g.pubs.Add(int64(len(pubs)))
	g.busy.Add(-1)
}

func (l *laggard) Gap(room string, _ wire.Gap) { l.got[room[0]-'0'].gaps.Add(1) }

// Every publisher gets through, however narrow everything is: no wake-up is
// lost, nothing is delivered twice, and the books balance.
func TestNarrowBoundsLoseNoWakeUp(t *testing.T) {
	for name, cfg := range map[string]Config{
		"room":    {HandoffBytes: 600},
		"process": {HandoffBytes: 1200, MemoryBytes: 6000},
		"budget":  {HandoffBytes: 4000, MemoryBytes: 8000},
	} {
		t.Run(name, func(t *testing.T) {
			sink := &laggard{}
			b := start(t, cfg, sink)
			var wg sync.WaitGroup
			const each = 500
			var keyed atomic.Int64
			for i := range 16 {
				wg.Go(func() {
					for j := range each {
						p := draft(fmt.Sprint(i%8), "1", kept)
						p.Retention.Size = j % 4 // now and then without history
						if j%10 == 0 {
							p.IdempotencyKey = fmt.Sprint(i, "-", j)
							keyed.Add(1)
						}
						if _, err := b.Publish(t.Context(), p); err != nil {
							t.Error(err)
						}
						if j%50 == 0 {
							top(t, b, p.Room)
						}
					}
				})
			}
			wg.Wait()
			quiet(t, b)
			for room := range sink.got {
				if n := sink.got[room].pubs.Load(); n != 2*each {
					t.Errorf("room %d: %d of %d delivered", room, n, 2*each)
				}
			}
			if sink.overlap.Load() {
				t.Error("calls for one room overlapped")
			}
			st := b.Stats()
			if st.Delivered != 16*each || st.Published != 16*each || st.Busy != 0 || st.Waits == 0 || st.Gaps == 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestRoomsWithoutHistoryAreForgottenAndTheirMemoryIsReused(t *testing.T) {
	b := start(t, Config{}, brokertest.NewRecorder(t))
	for i := range 5000 {
		say(t, b, fmt.Sprint("room-", i), "1", broker.Retention{})
	}
	quiet(t, b)
	s, hash := b.shardOf("room")
	s.mu.Lock()
	rooms, spares := len(s.rooms), len(s.spareRooms)
	if rooms != 0 || spares == 0 || len(s.spareQueues) == 0 {
		t.Errorf("%d rooms, %d spare rooms, %d spare queues", rooms, spares, len(s.spareQueues))
	}
	spare := s.spareRooms[spares-1]
	if r := s.open("room", hash); r != spare || r.name != "room" || r.kept || r.log.top() != (mark{}) {
		t.Errorf("opened %+v", r)
	}
	s.release(s.rooms["room"])
	s.mu.Unlock()
	// A reused room begins at its own beginning.
	if pos := say(t, b, "room", "1", kept); pos.Offset != 1 {
		t.Errorf("position %v", pos)
	}
	quiet(t, b)
}

func TestALargeQueueIsNotKeptForReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := brokertest.NewRecorder(t)
		b := start(t, Config{}, sink)
		goOn := sink.Stall("room")
		for range 10 * spareQueue {
			say(t, b, "room", "1", kept)
		}
		goOn()
		quiet(t, b)
		s, _ := b.shardOf("room")
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, buf := range s.spareQueues {
			if len(buf) > spareQueue {
				t.Errorf("a queue of %d slots is kept", len(buf))
			}
		}
		if s.rooms["room"].queue.Cap() != 0 {
			t.Error("the room keeps its queue's buffer")
		}
	})
}
