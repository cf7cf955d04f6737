package brokertest

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Harness says how the suite gets its brokers, and what they can do.
type Harness struct {
	// Open makes a new, empty store for one test and returns what starts a
	// node on it. A node hands over to the sink it is given. The cleanup of t
	// stops the nodes and removes the store.
	Open func(t *testing.T, s Settings) (start func(broker.Sink) broker.Broker)
	// Nodes is how many nodes one store can have at once; 0 counts as 1.
	Nodes int
	// Bubble says that the broker reaches nothing outside the process, so that
	// it may run in a bubble of testing/synctest, where time costs nothing.
	Bubble bool
	// Messages is how many messages the concurrent tests publish; 0: 20,000, or
	// 1,000,000 with GATEWAY_LONG=1.
	Messages int
}

// Settings are what a test needs of its broker. Zero: the broker's default.
type Settings struct {
	IdempotencyTTL time.Duration
	HandoffBytes   int // what may wait for the Sink in one room, in bytes
}

// Run runs the whole suite, each test on a store of its own. Outside a bubble
// they run in parallel, as most of their time is spent waiting for time to pass.
func Run(t *testing.T, h Harness) {
	for name, test := range map[string]func(*testing.T, Harness){
		"publish":        testPublish,
		"nonces":         testNonces,
		"keys":           testKeys,
		"history":        testHistory,
		"resume":         testResume,
		"delivery":       testDelivery,
		"contexts":       testContexts,
		"nodes":          testNodes,
		"no hole":        RunComplete,
		"no silent hole": RunLossy,
	} {
		t.Run(name, func(t *testing.T) {
			h.parallel(t)
			test(t, h)
		})
	}
}

func (h Harness) parallel(t *testing.T) {
	if !h.Bubble {
		t.Parallel()
	}
}

// question is one test of one broker.
type question struct {
	name string
	set  Settings
	ask  func(*rig)
}

func (h Harness) ask(t *testing.T, questions []question) {
	t.Helper()
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			if !h.Bubble {
				t.Parallel()
				q.ask(h.rig(t, q.set))
				return
			}
			synctest.Test(t, func(t *testing.T) { q.ask(h.rig(t, q.set)) })
		})
	}
}

// rig is a broker under test with its Sink.
type rig struct {
	*testing.T
	b     broker.Broker
	sink  *Recorder
	start func(broker.Sink) broker.Broker
	age   time.Duration // an age to wait for
	made  int
}

func (h Harness) rig(t *testing.T, s Settings) *rig {
	r := &rig{T: t, sink: NewRecorder(t), start: h.Open(t, s), age: 2 * time.Second}
	if h.Bubble {
		r.age = time.Minute
	}
	r.b = r.start(r.sink)
	return r
}

const room = "room"

var kept = broker.Retention{Size: 100, Age: time.Hour} // read only

// draft makes a publication whose data no other of the rig has.
func (r *rig) draft(room string, keep broker.Retention) broker.Publication {
	r.made++
	return broker.Publication{
		Publication: wire.Publication{
			Room: room, Event: "said", Data: fmt.Appendf(nil, `{"n":%d}`, r.made), Publisher: "ann",
		},
		Retention: keep,
	}
}

// publish publishes p, which must work.
func (r *rig) publish(p broker.Publication) wire.Position {
	r.Helper()
	pos, err := r.b.Publish(r.Context(), p)
	if err != nil {
		r.Fatalf("publishing %s: %v", p.Data, err)
	}
	return pos
}

// fill publishes n drafts to the room and returns their positions, after the
// room's position before: positions[i] has offset i in a new room.
func (r *rig) fill(n int, keep broker.Retention) []wire.Position {
	r.Helper()
	positions := []wire.Position{r.top()}
	for range n {
		positions = append(positions, r.publish(r.draft(room, keep)))
	}
	return positions
}

// late tells whether what was published then may have expired by now: on a
// machine too slow to tell whether it does so too early.
func (r *rig) late(then time.Time) bool { return time.Since(then) > r.age*9/10 }

func (r *rig) subscribe(room string) {
	r.Helper()
	if err := r.b.Subscribe(r.Context(), room); err != nil {
		r.Fatalf("subscribing to %s: %v", room, err)
	}
}

// page reads the room's history, which must work.
func (r *rig) page(since wire.Position, limit int) broker.Page {
	r.Helper()
	page, err := r.b.History(r.Context(), room, since, limit)
	if err != nil {
		r.Fatalf("history since %v: %v", since, err)
	}
	return page
}

func (r *rig) top() wire.Position {
	r.Helper()
	return r.page(wire.Position{}, 0).Top
}

// wantOffsets compares the offsets of publications with from, from+1, … to.
func (r *rig) wantOffsets(pubs []*wire.Publication, from, to uint64) {
	r.Helper()
	got := make([]uint64, 0, len(pubs))
	for _, p := range pubs {
		got = append(got, p.Position.Offset)
	}
	want := []uint64{}
	for o := from; o <= to; o++ {
		want = append(want, o)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.Errorf("offsets %v, want %v", got, want)
	}
}
