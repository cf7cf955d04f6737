package roomlog

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const room = "room"

var kept = broker.Retention{Size: 100, Age: time.Hour} // read only

// rig is a log under test.
type rig struct {
	testing.TB
	redis *redisconn.Manager
	log   *Log
	made  int
}

// start makes a log on a Redis, with a prefix of its own.
func start(t testing.TB, at redisconn.Config, cfg Config) *rig {
	t.Helper()
	m := redistest.Manager(t, at)
	return &rig{TB: t, redis: m, log: open(t, m, cfg)}
}

// open makes a log and shuts it down at the end of the test.
func open(t testing.TB, m *redisconn.Manager, cfg Config) *Log {
	l := New(m, cfg, zap.NewNop())
	t.Cleanup(func() {
		if err := l.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l
}

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

// publish publishes p, which must be stored.
func (r *rig) publish(p broker.Publication) wire.Position {
	r.Helper()
	pos, outcome, err := r.log.Publish(r.Context(), p)
	if err != nil || outcome != Stored {
		r.Fatalf("publishing %s: outcome %d, %v", p.Data, outcome, err)
	}
	return pos
}

// fill publishes n drafts to the room and returns their positions, after the
// room's position before.
func (r *rig) fill(n int, keep broker.Retention) []wire.Position {
	r.Helper()
	positions := []wire.Position{r.top()}
	for range n {
		positions = append(positions, r.publish(r.draft(room, keep)))
	}
	return positions
}

func (r *rig) page(since wire.Position, limit int) broker.Page {
	r.Helper()
	page, err := r.log.Read(r.Context(), room, since, limit)
	if err != nil {
		r.Fatalf("reading since %v: %v", since, err)
	}
	return page
}

func (r *rig) top() wire.Position {
	r.Helper()
	return r.page(wire.Position{}, 0).Top
}

// refused checks that the room cannot be read from a position.
func (r *rig) refused(since wire.Position, reason string) {
	r.Helper()
	page, err := r.log.Read(r.Context(), room, since, broker.NoLimit)
	var refusal *broker.InsufficientStateError
	if !errors.As(err, &refusal) || refusal.Reason != reason || len(page.Publications) != 0 || page.Top.IsZero() {
		r.Errorf("since %v: page %+v, error %v, want %s", since, page, err, reason)
	}
}

// offsets checks that publications are from, from+1, … to.
func (r *rig) offsets(pubs []*wire.Publication, from, to uint64) {
	r.Helper()
	want := from
	for _, p := range pubs {
		if p.Position.Offset != want {
			r.Fatalf("offset %d instead of %d", p.Position.Offset, want)
		}
		want++
	}
	if want != to+1 {
		r.Fatalf("%d publications end before %d, want up to %d", len(pubs), want, to)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}
