package redisconn_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

// write stores something under a tag through the shard that the manager names.
func (r *rig) write(tag string) error {
	r.t.Helper()
	s, err := r.Shard(r.t.Context(), tag)
	if err != nil {
		return err
	}
	return s.Client().Set(r.t.Context(), r.Key("k", tag), "v", 0).Err()
}

func TestEveryTagIsWrittenToTheShardThatHoldsIt(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	r := newRig(t, redisconn.Config{ClusterAddrs: []string{nodes[1].Addr(), "127.0.0.1:1"}})
	if err := r.write("the first waits for the slots"); err != nil {
		t.Fatal(err)
	}
	r.wait()
	used := map[string]bool{}
	for i := range 100 {
		tag := "room" + strconv.Itoa(i)
		if err := r.write(tag); err != nil {
			t.Fatalf("%s: %v", tag, err)
		}
		if got, err := r.Client().Get(t.Context(), r.Key("k", tag)).Result(); got != "v" || err != nil {
			t.Fatalf("%s: %q, %v", tag, got, err)
		}
		s, _ := r.Shard(t.Context(), tag)
		used[s.ID()] = true
	}
	if len(used) != 3 || len(r.Shards()) != 3 || r.Stats().Up != 3 || r.topologyChanges() != 1 {
		t.Errorf("%d shards used, %+v, %d changes", len(used), r.Stats(), r.topologyChanges())
	}
	if n, _ := r.told(); n != 0 {
		t.Errorf("told of %d changes at the start", n)
	}
}

func TestASlotThatMovesIsFollowed(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	r := newRig(t, redistest.ClusterConfig(nodes)).wait()
	tag := "moving"
	slot := redisconn.SlotOf(tag)
	from, err := r.Shard(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	before := r.Shards()
	to := nodes[0]
	if from.ID() == to.Addr() {
		to = nodes[1]
	}
	id := to.Client().ClusterMyID(t.Context()).Val()
	for _, node := range append([]*redistest.Server{to}, nodes...) { // the new owner first
		if err := node.Client().Do(t.Context(), "cluster", "setslot", slot, "node", id).Err(); err != nil {
			t.Fatal(err)
		}
	}
	changes := r.topologyChanges()
	r.Refresh()
	r.until("the slot's new shard", func() bool {
		s, err := r.Shard(t.Context(), tag)
		return err == nil && s.ID() == to.Addr() && r.topologyChanges() > changes
	})
	if err := r.write(tag); err != nil {
		t.Error(err)
	}
	if fmt.Sprint(before) != fmt.Sprint(r.Shards()) {
		t.Error("the shards are others, though their masters are the same")
	}
}

func TestAFailoverOfAMasterMakesAnotherShard(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	replica := redistest.ClusterReplica(t, nodes, nodes[0])
	r := newRig(t, redistest.ClusterConfig(nodes)).wait()
	var tag string
	var old *redisconn.Shard
	for i := 0; old == nil || old.ID() != nodes[0].Addr(); i++ {
		tag = "room" + strconv.Itoa(i)
		old, _ = r.Shard(t.Context(), tag)
	}
	if err := r.write(tag); err != nil {
		t.Fatal(err)
	}
	if n, err := old.Client().Wait(t.Context(), 1, 0).Result(); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	changes := r.topologyChanges()
	nodes[0].Kill()
	if r.ready() == "" {
		t.Error("ready with a master that is dead")
	}
	r.until("the replica's promotion", func() bool {
		s, err := r.Shard(t.Context(), tag)
		return err == nil && s.ID() == replica.Addr()
	})
	r.wait()
	r.until("being told", func() bool {
		_, of := r.told()
		return of != nil && of.ID() == replica.Addr() && r.topologyChanges() > changes
	})
	if err := r.write(tag); err != nil {
		t.Error(err)
	}
	r.until("reading where it is now", func() bool { // the client of commands has a map of its own
		got, err := r.Client().Get(t.Context(), r.Key("k", tag)).Result()
		return got == "v" && err == nil
	})
	nodes[0].Restart()
	r.until("the old master follows", func() bool {
		for _, s := range r.Shards() {
			if s.ID() == replica.Addr() {
				return s.Replication().Replicas == 1
			}
		}
		return false
	})
}

func TestANodeIsReachedWhereItWasAsked(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"10.0.0.1:7000", "seed:6379", "10.0.0.1:7000"},
		{":7000", "seed:6379", "seed:7000"},
		{"?:7000", "[::1]:6379", "[::1]:7000"},
		{"127.0.0.1:7000", "seed:6379", "seed:7000"},
		{"127.0.0.1:7000", "127.0.0.1:6379", "127.0.0.1:7000"},
		{"127.0.0.1:7000", "localhost:6379", "127.0.0.1:7000"},
		{"nonsense", "seed:6379", "nonsense"},
	} {
		if got := redisconn.Reachable(c[0], c[1]); got != c[2] {
			t.Errorf("%s asked at %s: %s", c[0], c[1], got)
		}
	}
}

func TestTheLaterEpochCountsAmongNodesInTouch(t *testing.T) {
	t.Parallel()
	if !redisconn.Better(true, 1, false, 9) || redisconn.Better(false, 9, true, 1) || !redisconn.Better(true, 2, true, 1) || redisconn.Better(true, 1, true, 1) {
		t.Error("the wrong view counts")
	}
}
