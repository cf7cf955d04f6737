package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/brokertest"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const lobby = "lobby"

var kept = broker.Retention{Size: 1000, Age: time.Hour} // read only

// node is a broker with its Sink.
type node struct {
	*Broker
	sink *brokertest.Recorder
}

// rig is some brokers on one Redis.
type rig struct {
	testing.TB
	t     *testing.T
	redis *redistest.Server
	nodes []*node
	made  int
}

// assemble starts brokers on a single server.
func assemble(t *testing.T, nodes int, cfg Config, args ...string) *rig {
	t.Helper()
	r := &rig{TB: t, t: t, redis: redistest.Single(t, args...)}
	at := r.redis.Config()
	at.Prefix = prefix()
	for range nodes {
		r.add(at, cfg)
	}
	return r
}

func (r *rig) add(at redisconn.Config, cfg Config) *node {
	sink := brokertest.NewRecorder(r.t)
	n := &node{start(r.t, at, cfg, sink), sink}
	r.nodes = append(r.nodes, n)
	return n
}

// subscribe subscribes all nodes and reads where the room is, as members do who
// join.
func (r *rig) subscribe(room string) {
	r.Helper()
	for _, n := range r.nodes {
		if err := n.Subscribe(r.Context(), room); err != nil {
			r.Fatal(err)
		}
		n.top(r, room)
	}
}

func (n *node) top(t testing.TB, room string) wire.Position {
	t.Helper()
	page, err := n.History(t.Context(), room, wire.Position{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return page.Top
}

// draft makes a publication whose data no other has.
func (r *rig) draft(room string, keep broker.Retention) broker.Publication {
	r.made++
	p := broker.Publication{Retention: keep}
	p.Room, p.Event, p.Publisher, p.Data = room, "said", "ann", fmt.Appendf(nil, "%d", r.made)
	return p
}

// say publishes on a node, and again for as long as the outcome is unknown.
func (r *rig) say(n *node, room string, keep broker.Retention) wire.Position {
	r.Helper()
	p := r.draft(room, keep)
	p.IdempotencyKey = string(p.Data)
	for began := time.Now(); ; {
		pos, err := n.Publish(r.Context(), p)
		switch {
		case err == nil:
			return pos
		case !wire.IsCode(err, wire.Unavailable) || time.Since(began) > patience:
			r.Fatal(err)
		}
	}
}

const patience = 30 * time.Second

// eventually waits for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// whole checks that every node was handed data 1 to n, each once, in order and
// without a gap.
func (r *rig) whole(room string, n int) {
	r.Helper()
	for i, node := range r.nodes {
		pubs := node.sink.Pubs(room, n)
		for j, p := range pubs {
			if p.Position.Offset != uint64(j)+1 || string(p.Data) != fmt.Sprint(j+1) {
				r.Fatalf("node %d: %d is %s at %v", i, j+1, p.Data, p.Position)
			}
		}
	}
}

// gaps returns the gaps among events, and the data of what follows the last.
func gaps(events []brokertest.Event) (found []wire.Gap, after []string) {
	for _, e := range events {
		if e.Gap != nil {
			found, after = append(found, *e.Gap), nil
			continue
		}
		after = append(after, string(e.Pub.Data))
	}
	return found, after
}

// refusal is the reason why a position is refused, "" if it is not.
func (n *node) refusal(t testing.TB, room string, since wire.Position) string {
	t.Helper()
	_, err := n.History(t.Context(), room, since, broker.NoLimit)
	var refused *broker.InsufficientStateError
	if errors.As(err, &refused) {
		return refused.Reason
	}
	if err != nil {
		t.Fatal(err)
	}
	return ""
}

func soon(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
