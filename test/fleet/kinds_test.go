package fleet

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestAFleetOnARedisCluster(t *testing.T) {
	t.Parallel()
	cfg := redistest.ClusterConfig(redistest.Cluster(t))
	f := newFleet(t, "REDIS_CLUSTER_ADDRS="+strings.Join(cfg.ClusterAddrs, ","))
	f.add("a")
	f.add("b")
	f.settle()
	serves(t, f)
}

func TestAFleetOnASentinelSetOutlivesItsMaster(t *testing.T) {
	t.Parallel()
	set := redistest.SentinelSet(t, "--appendonly", "yes")
	f := newFleet(t, "REDIS_SENTINEL_ADDRS="+strings.Join(set.Addrs(), ","), "REDIS_SENTINEL_MASTER="+set.Name)
	a, b := f.add("a"), f.add("b")
	f.settle()
	serves(t, f)

	cat, dan := a.enter("cat", "safe:1"), b.enter("dan", "safe:1")
	for n := 1; n <= 10; n++ { // acknowledged when the replica has them
		cat.publish("safe:1", 1, n)
	}
	before := dan.hears("safe:1", 10)
	old := set.Master()
	old.Kill()
	begun := time.Now()
	if m := cat.reply(cat.sendPublish("safe:1", 1, 11, "key")); m.data().Code != "unavailable" {
		t.Errorf("published without a master: %s %s", m.Event, m.Data)
	}
	until(t, "they notice", func() bool { return a.ready() == http.StatusServiceUnavailable || set.Master() != old })
	now := set.WaitMaster(old)
	t.Logf("another server is the master after %v", time.Since(begun).Round(time.Millisecond))
	begun = time.Now()
	f.settle()
	t.Logf("ready after %v more", time.Since(begun).Round(time.Millisecond))
	// With no replica left what was asked for cannot be had, and is said so.
	if m := cat.reply(cat.sendPublish("safe:1", 1, 11, "key")); m.data().Code != "unavailable" || !m.data().Retryable {
		t.Errorf("published without a replica: %s %s", m.Event, m.Data)
	}
	old.Restart()
	// As Sentinel tells it to, but only after a while.
	if err := old.Client().ReplicaOf(t.Context(), "127.0.0.1", strconv.Itoa(now.Port())).Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "the old master follows, and the message is acknowledged", func() bool {
		return cat.reply(cat.sendPublish("safe:1", 1, 11, "key")).Event == "published"
	})
	cat.publish("safe:1", 1, 12)
	for _, c := range []*client{cat, dan} {
		all := c.hears("safe:1", 12)
		inOrder(t, c.user, all, 1)
		if len(all) != 12 {
			t.Errorf("%s has %d", c.user, len(all))
		}
	}
	late := b.connect("late-2")
	if j := late.join("safe:1", before[3].Pos); !j.Recovered {
		t.Errorf("a resume over the failover: %+v", j)
	}
	late.hears("safe:1", 8)
}
