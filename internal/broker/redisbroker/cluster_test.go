package redisbroker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

// onCluster starts brokers on a cluster.
func onCluster(t *testing.T, nodes []*redistest.Server, brokers int) *rig {
	r := &rig{TB: t, t: t}
	at := redistest.ClusterConfig(nodes)
	at.Prefix = prefix()
	for range brokers {
		r.add(at, Config{})
	}
	return r
}

func (r *room) home() *link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.link
}

func TestSubscriptionsThatAClusterRefusesDoNotMultiply(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t, "--cluster-allow-pubsubshard-when-down", "no")
	r := onCluster(t, nodes, 1)
	n := r.nodes[0]
	const rooms = 150
	for i := range rooms {
		if err := n.Subscribe(t.Context(), fmt.Sprint("room-", i)); err != nil {
			t.Fatal(err)
		}
	}
	nodes[2].Kill()
	for _, s := range nodes[:2] {
		eventually(t, "the cluster is down", func() bool {
			return strings.Contains(s.Client().ClusterInfo(t.Context()).Val(), "cluster_state:fail")
		})
		s.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
	}
	eventually(t, "the connections are lost", func() bool { return n.Stats().Live < rooms/2 })
	before, began := n.Stats().Subscriptions, time.Now()
	time.Sleep(5 * homePause)
	sent, rounds := n.Stats().Subscriptions-before, uint64(time.Since(began)/homePause)+2
	t.Logf("%d subscriptions sent in %v", sent, time.Since(began))
	if sent > rooms*rounds {
		t.Errorf("%d subscriptions of %d rooms sent", sent, rooms)
	}
	nodes[2].Restart()
	eventually(t, "all are live", func() bool { return n.Stats().Live == rooms+1 })
}

func TestRoomsMoveWithTheirSlotsWhileOtherSlotsAreNobodys(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t, "--cluster-require-full-coverage", "no")
	r := onCluster(t, nodes, 2)
	r.subscribe(lobby)
	r.say(r.nodes[0], lobby, kept)
	ctx := t.Context()
	for i := range 40 {
		name := fmt.Sprint("orphan-", i)
		for _, n := range r.nodes {
			if err := n.Subscribe(ctx, name); err != nil {
				t.Fatal(err)
			}
		}
		slot := int(nodes[0].Client().ClusterKeySlot(ctx, name).Val())
		for _, s := range nodes {
			s.Client().ClusterDelSlots(ctx, slot)
		}
	}
	old := make([]*link, 2)
	for i, n := range r.nodes {
		old[i] = n.find(lobby).home()
	}
	moveSlot(t, nodes, lobby)
	for i, n := range r.nodes {
		it := n.find(lobby)
		old[i].check(it) // as if it was asked for just before
		eventually(t, "the room has moved", func() bool { return it.home() != old[i] })
		eventually(t, "the room is live", func() bool {
			it.mu.Lock()
			defer it.mu.Unlock()
			return it.live
		})
		eventually(t, "nothing is verified where the room was", func() bool {
			old[i].mu.Lock()
			defer old[i].mu.Unlock()
			return len(old[i].checks) == 0
		})
	}
	for range 3 {
		r.say(r.nodes[0], lobby, kept)
	}
	r.whole(lobby, 4)
}

func TestASubscriptionThatIsOrderedAnewIsNotLiveBefore(t *testing.T) {
	t.Parallel()
	r := assemble(t, 1, Config{})
	n := r.nodes[0]
	shard, err := n.redis.Shard(t.Context(), lobby)
	if err != nil {
		t.Fatal(err)
	}
	l := newLink(n.Broker, shard) // without a connection: answers come by hand
	defer l.cancel()
	it := n.hold(lobby)
	it.wanted, it.link = true, l
	it.mu.Unlock()
	s := newSession(l, nil)
	channel := n.logs.Channel(lobby)
	l.mu.Lock()
	l.running, l.orders = true, nil
	l.mu.Unlock()
	l.join(it)
	l.leave(it) // its slot goes,
	l.join(it)  // and comes back
	for _, o := range l.take() {
		s.expected.Push(o)
	}
	live := func() bool { it.mu.Lock(); defer it.mu.Unlock(); return it.live }
	if err := s.subscribed(channel); err != nil || live() {
		t.Errorf("live after the first of two: %v", err)
	}
	s.unsubscribed(channel)
	if err := s.subscribed(channel); err != nil || !live() {
		t.Errorf("not live after both: %v", err)
	}
}
