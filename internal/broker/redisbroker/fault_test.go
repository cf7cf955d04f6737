package redisbroker

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/brokertest"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// troubled runs f again and again while the suite's concurrent tests run.
func troubled(
	t *testing.T, redis redisconn.Config, every time.Duration, f func(b *Broker),
) func(*testing.T, brokertest.Settings) func(broker.Sink) broker.Broker {
	open := opener(redis)
	return func(_ *testing.T, s brokertest.Settings) func(broker.Sink) broker.Broker {
		start := open(t, s)
		return func(sink broker.Sink) broker.Broker {
			b, _ := start(sink).(*Broker)
			done := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					select {
					case <-done:
						return
					case <-time.After(every):
						f(b)
					}
				}
			})
			t.Cleanup(func() {
				close(done)
				wg.Wait()
			})
			return b
		}
	}
}

func TestReadersMissNothingWhileSubscriptionsAreKilled(t *testing.T) {
	t.Parallel()
	server := redistest.Single(t)
	brokertest.RunComplete(t, brokertest.Harness{
		Nodes: 2, Messages: few,
		Open: troubled(t, server.Config(), 60*time.Millisecond, func(*Broker) {
			server.Client().Do(context.Background(), "CLIENT", "KILL", "TYPE", "pubsub")
		}),
	})
}

func TestReadersMissNothingWhileReplicationIsDoubted(t *testing.T) {
	t.Parallel()
	server := redistest.Single(t)
	brokertest.RunComplete(t, brokertest.Harness{
		Nodes: 2, Messages: few,
		Open: troubled(t, server.Config(), 20*time.Millisecond, func(b *Broker) {
			for _, l := range b.linksNow() {
				b.ReplicationChanged(l.shard)
			}
		}),
	})
}

// forgetful loses a room's history every now and then.
type forgetful struct{ *Broker }

func (f forgetful) Publish(ctx context.Context, p broker.Publication) (wire.Position, error) {
	if rand.IntN(15) == 0 {
		if err := f.redis.Client().Del(ctx, f.redis.Key("m", p.Room)).Err(); err != nil && ctx.Err() == nil {
			return wire.Position{}, err
		}
	}
	return f.Broker.Publish(ctx, p)
}

func TestReadersOfRoomsThatLoseTheirHistoryAreTold(t *testing.T) {
	t.Parallel()
	open := opener(redistest.Single(t).Config())
	brokertest.RunLossy(t, brokertest.Harness{
		Nodes: 2, Messages: few,
		Open: func(t *testing.T, s brokertest.Settings) func(broker.Sink) broker.Broker {
			start := open(t, s)
			return func(sink broker.Sink) broker.Broker { return forgetful{start(sink).(*Broker)} }
		},
	})
}

func TestAServerThatIsKilledAndComesBackLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	r := assemble(t, 2, Config{}, "--appendonly", "yes", "--appendfsync", "always")
	r.subscribe(lobby)
	first := r.nodes[0].top(t, lobby)
	const each = 20
	for i := range 3 {
		for range each {
			r.say(r.nodes[r.made%2], lobby, kept)
		}
		r.redis.Kill()
		if err := r.nodes[i%2].Subscribe(soon(t, 100*time.Millisecond), "other"); !wire.IsCode(err, wire.Unavailable) {
			t.Errorf("subscribed without Redis: %v", err)
		}
		r.redis.Restart()
	}
	for range each {
		r.say(r.nodes[r.made%2], lobby, kept)
	}
	r.whole(lobby, 4*each)
	if why := r.nodes[0].refusal(t, lobby, first); why != "" {
		t.Errorf("a restart refuses a resume: %s", why)
	}
}

func TestAServerThatForgetsEverythingEndsTheEpoch(t *testing.T) {
	t.Parallel()
	r := assemble(t, 2, Config{})
	r.subscribe(lobby)
	for range 5 {
		r.say(r.nodes[0], lobby, kept)
	}
	r.whole(lobby, 5)
	old := r.nodes[0].top(t, lobby)
	if err := r.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.say(r.nodes[1], lobby, kept)
	}
	for i, n := range r.nodes {
		found, after := gaps(n.sink.Until(lobby, "8"))
		if len(found) != 1 || found[0].Reason != reasonEpoch || found[0].From != 5 || found[0].Top.Epoch == old.Epoch || !slices.Equal(after, []string{"6", "7", "8"}) {
			t.Errorf("node %d: %+v, then %v", i, found, after)
		}
	}
}

// rollBack takes a room back to what dump has kept of it, as a failover does
// when the replica had not received the rest.
func (r *rig) rollBack(room string, change func()) {
	r.Helper()
	b, ctx := r.nodes[0].Broker, r.Context()
	keys := []string{b.redis.Key("m", room), b.redis.Key("l", room)}
	var dumps []string
	for _, key := range keys {
		dump, err := r.redis.Client().Dump(ctx, key).Result()
		if err != nil {
			r.Fatal(err)
		}
		dumps = append(dumps, dump)
	}
	change()
	for i, key := range keys {
		if err := r.redis.Client().RestoreReplace(ctx, key, 0, dumps[i]).Err(); err != nil {
			r.Fatal(err)
		}
	}
}

func TestALogThatWasRolledBackEndsItsEpochAndNothingIsDeliveredTwice(t *testing.T) {
	t.Parallel()
	for name, doubt := range map[string]bool{"noticed by a changed replication": true, "noticed by the next publication": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := assemble(t, 3, Config{})
			r.subscribe(lobby)
			for range 5 {
				r.say(r.nodes[0], lobby, kept)
			}
			safe := r.nodes[0].top(t, lobby)
			r.rollBack(lobby, func() {
				for range 3 {
					r.say(r.nodes[0], lobby, kept)
				}
				r.whole(lobby, 8)
			})
			if doubt {
				for _, n := range r.nodes {
					n.ReplicationChanged(n.linksNow()[0].shard)
				}
			}
			for range 3 {
				r.say(r.nodes[1], lobby, kept)
			}
			for i, n := range r.nodes {
				found, after := gaps(n.sink.Until(lobby, "11"))
				if len(found) == 0 || found[0].Reason != reasonEpoch || found[0].Top.Epoch == safe.Epoch || found[0].From < 8 {
					t.Fatalf("node %d: %+v, then %v", i, found, after)
				}
				if !slices.Equal(after, []string{"9", "10", "11"}) {
					t.Errorf("node %d: after the gaps came %v", i, after)
				}
			}
			if why := r.nodes[2].refusal(t, lobby, safe); why != "epoch_changed" {
				t.Errorf("a position of the ended epoch: %q", why)
			}
		})
	}
}

func TestASinkThatLagsFarBehindIsRefilledFromTheLog(t *testing.T) {
	t.Parallel()
	r := assemble(t, 2, Config{HandoffBytes: 8 << 10})
	r.subscribe(lobby)
	slow := r.nodes[0]
	goOn := slow.sink.Stall(lobby)
	const n = 500
	for range n {
		r.say(r.nodes[1], lobby, kept)
	}
	if st := slow.Stats(); st.HandoffBytes > 4*8<<10 || st.Overflows == 0 {
		t.Errorf("%+v", st)
	}
	goOn()
	r.whole(lobby, n)
	if st := slow.Stats(); st.Refilled == 0 || st.Gaps != 0 {
		t.Errorf("%+v", st)
	}
}

func TestASinkThatLagsFurtherThanTheLogReachesIsToldOfAGap(t *testing.T) {
	t.Parallel()
	r := assemble(t, 2, Config{HandoffBytes: 8 << 10})
	r.subscribe(lobby)
	slow := r.nodes[0]
	goOn := slow.sink.Stall(lobby)
	for range 500 {
		r.say(r.nodes[1], lobby, broker.Retention{Size: 20, Age: time.Hour})
	}
	goOn()
	found, after := gaps(slow.sink.Until(lobby, "500"))
	if len(found) != 1 || found[0].Reason != reasonLost || found[0].Top.Offset < 480 || len(after) != 500-int(found[0].Top.Offset) {
		t.Errorf("%+v, then %v", found, after)
	}
}

func TestARoomWithoutHistoryThatOverflowsIsToldOfAGap(t *testing.T) {
	t.Parallel()
	r := assemble(t, 2, Config{HandoffBytes: 8 << 10})
	r.subscribe(lobby)
	slow := r.nodes[0]
	goOn := slow.sink.Stall(lobby)
	for range 500 {
		r.say(r.nodes[1], lobby, broker.Retention{})
	}
	eventually(t, "all has come", func() bool { return slow.Stats().Overflows > 0 })
	goOn()
	r.say(r.nodes[1], lobby, broker.Retention{})
	eventually(t, "a gap", func() bool {
		found, _ := gaps(slow.sink.Events(lobby))
		return len(found) > 0 && found[0] == (wire.Gap{Reason: reasonOverflow})
	})
}

func TestASilentConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	r := assemble(t, 2, Config{})
	r.subscribe(lobby)
	r.say(r.nodes[0], lobby, kept)
	r.redis.Stop()
	eventually(t, "the connections are given up", func() bool {
		return r.nodes[0].Stats().Reconnects > 0 && r.nodes[1].Stats().Reconnects > 0
	})
	r.redis.Continue()
	r.say(r.nodes[1], lobby, kept)
	r.whole(lobby, 2)
}

func TestWhatAnIdleRoomMissesIsFoundWithoutAnotherPublication(t *testing.T) {
	t.Parallel()
	r := assemble(t, 2, Config{})
	r.subscribe(lobby)
	r.say(r.nodes[0], lobby, kept)
	r.whole(lobby, 1)
	deaf := r.nodes[1]
	lost := deaf.find(lobby)
	lost.mu.Lock() // what comes meanwhile waits for the lock, and finds no link
	l := lost.link
	lost.link = nil
	lost.mu.Unlock()
	r.say(r.nodes[0], lobby, kept)
	if err := deaf.waitFor(t.Context(), l.hail()); err != nil {
		t.Fatal(err)
	}
	lost.mu.Lock()
	lost.link = l
	lost.mu.Unlock()
	l.verify([]*room{lost}, true)
	l.verify([]*room{lost}, true)
	r.whole(lobby, 2)
}

func TestAMovedSlotIsFollowed(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	r := &rig{TB: t, t: t}
	at := redistest.ClusterConfig(nodes)
	at.Prefix = prefix()
	r.add(at, Config{})
	r.add(at, Config{})
	r.subscribe(lobby)
	r.say(r.nodes[0], lobby, kept)
	moveSlot(t, nodes, lobby)
	for range 10 {
		r.say(r.nodes[1], lobby, kept)
	}
	r.whole(lobby, 11)
	moveSlot(t, nodes, lobby)
	for range 10 {
		r.say(r.nodes[0], lobby, kept)
	}
	r.whole(lobby, 21)
}

// moveSlot moves the slot of a tag with its keys to another node.
func moveSlot(t *testing.T, nodes []*redistest.Server, tag string) {
	t.Helper()
	ctx := t.Context()
	slot, err := nodes[0].Client().ClusterKeySlot(ctx, tag).Result()
	if err != nil {
		t.Fatal(err)
	}
	var from, to *redistest.Server
	for _, n := range nodes {
		if err := n.Client().Exists(ctx, "{"+tag+"}").Err(); err == nil {
			from = n
		} else {
			to = n
		}
	}
	id := func(n *redistest.Server) string {
		id, err := n.Client().ClusterMyID(ctx).Result()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	do := func(n *redistest.Server, args ...any) {
		if err := n.Client().Do(ctx, args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	do(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", id(from))
	do(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", id(to))
	for {
		keys, err := from.Client().ClusterGetKeysInSlot(ctx, int(slot), 100).Result()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", "127.0.0.1", to.Port(), "", 0, 5000, "KEYS"}
		for _, k := range keys {
			args = append(args, k)
		}
		do(from, args...)
	}
	do(to, "CLUSTER", "SETSLOT", slot, "NODE", id(to))
	for _, n := range nodes {
		do(n, "CLUSTER", "SETSLOT", slot, "NODE", id(to))
	}
}

// sound checks that each publication follows the one before, or the gap.
func sound(t *testing.T, events []brokertest.Event) {
	t.Helper()
	var at wire.Position
	for i, e := range events {
		if e.Gap != nil {
			at = e.Gap.Top
			continue
		}
		pos := e.Pub.Position
		if i > 0 && (pos.Epoch != at.Epoch || pos.Offset != at.Offset+1) {
			t.Fatalf("event %d: %v followed %v", i, pos, at)
		}
		at = pos
	}
}

func TestAFailoverIsFollowedWithoutASilentHole(t *testing.T) {
	t.Parallel()
	set := redistest.SentinelSet(t)
	r := &rig{TB: t, t: t}
	at := set.Config()
	at.Prefix = prefix()
	r.add(at, Config{})
	r.add(at, Config{})
	r.subscribe(lobby)
	for range 50 {
		r.say(r.nodes[r.made%2], lobby, kept)
	}
	old := set.Master()
	old.Kill()
	set.WaitMaster(old)
	for range 50 {
		r.say(r.nodes[r.made%2], lobby, kept)
	}
	for i, n := range r.nodes {
		events := n.sink.Until(lobby, "100")
		sound(t, events)
		found, after := gaps(events)
		if len(found) == 0 && len(after) != 100 || len(found) > 0 && len(after) < 50 {
			t.Errorf("node %d: %+v, then %v", i, found, after)
		}
	}
}
