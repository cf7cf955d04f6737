package redistest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestASingleServerServesAManager(t *testing.T) {
	t.Parallel()
	s := redistest.Single(t)
	m := redistest.Manager(t, s.Config())
	if len(m.Shards()) != 1 || !m.Shards()[0].Replication().Known {
		t.Errorf("shards: %+v", m.Shards())
	}
	s.Kill()
	s.Restart()
	redistest.WaitReady(t, m)
}

func TestAReplicaFollows(t *testing.T) {
	t.Parallel()
	s := redistest.Single(t)
	r := redistest.Replica(t, s)
	if err := s.Client().Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Client().Wait(t.Context(), 1, 0).Result(); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if v := r.Client().Get(t.Context(), "k").Val(); v != "v" {
		t.Errorf("replica has %q", v)
	}
}

func TestAClusterServesAManager(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	m := redistest.Manager(t, redistest.ClusterConfig(nodes))
	if len(m.Shards()) != 3 || !m.Clustered() {
		t.Errorf("%d shards", len(m.Shards()))
	}
}

func TestSentinelsFailOver(t *testing.T) {
	t.Parallel()
	set := redistest.SentinelSet(t)
	m := redistest.Manager(t, set.Config())
	old := set.Master()
	old.Kill()
	if now := set.WaitMaster(old); now != set.Servers[1] {
		t.Error("not the replica")
	}
	redistest.WaitReady(t, m)
	old.Restart()
}
