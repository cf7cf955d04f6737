package redisconn_test

import (
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestTheMasterThatSentinelNamesIsFollowed(t *testing.T) {
	t.Parallel()
	set := redistest.SentinelSet(t)
	r := newRig(t, set.Config()).wait()
	shard := r.Shards()[0]
	if r.Clustered() || shard.ID() != "0" {
		t.Errorf("shard %q", shard.ID())
	}
	if err := r.write("a"); err != nil {
		t.Fatal(err)
	}
	if n, err := shard.Client().Wait(t.Context(), 1, 0).Result(); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	before, old := shard.Replication(), set.Master()
	old.Kill()
	if got := r.ready(); got != "redis is away" {
		t.Errorf("without a master: %q", got)
	}
	now := set.WaitMaster(old)
	promoted := time.Now()
	r.wait()
	t.Logf("ready %v after the promotion", time.Since(promoted))
	r.until("the change", func() bool { n, of := r.told(); return n > 0 && of == shard })
	if after := shard.Replication(); after.RunID == before.RunID || after.ID == before.ID {
		t.Errorf("replication: %+v", after)
	}
	if err := r.write("b"); err != nil {
		t.Error(err)
	}
	for _, tag := range []string{"a", "b"} {
		if got := now.Client().Get(t.Context(), r.Key("k", tag)).Val(); got != "v" {
			t.Errorf("the new master has %q under %s", got, tag)
		}
	}
}
