package redisconn_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestAServerThatIsAwayAtTheStartIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := redistest.Single(t)
	s.Kill()
	r := newRig(t, s.Config())
	r.until("one line of it", func() bool { return r.logs.FilterMessage("redis is away").Len() == 1 })
	if got := r.ready(); got != "redis is away" || r.Shards()[0].Up() || r.Shards()[0].Replication().Known {
		t.Errorf("ready: %q", got)
	}
	s.Restart()
	back := time.Now()
	r.wait()
	t.Logf("ready %v after Redis", time.Since(back))
	if n, _ := r.told(); n != 0 {
		t.Errorf("told of %d changes, though nothing was known before", n)
	}
	if r.logs.FilterMessage("redis is away").Len() != 1 || r.logs.FilterMessage("redis is back").Len() != 1 {
		t.Errorf("logs: %+v", r.logs.All())
	}
}

func TestARestartIsNoticedOnceAndReadinessTellsTheTruth(t *testing.T) {
	t.Parallel()
	s := redistest.Single(t)
	r := newRig(t, s.Config()).wait()
	shard := r.Shards()[0]
	before := shard.Replication()
	if !before.Known || len(before.ID) != 40 || len(before.RunID) != 40 || before.Replicas != 0 {
		t.Fatalf("replication: %+v", before)
	}
	s.Kill()
	if got := r.ready(); got != "redis is away" {
		t.Errorf("at once after the kill: %q", got)
	}
	r.until("the loss", func() bool { return !shard.Up() })
	if shard.Replication() != before {
		t.Error("what was known is forgotten while away")
	}
	s.Restart()
	back := time.Now()
	r.wait()
	t.Logf("ready %v after Redis", time.Since(back))
	r.until("the change", func() bool { n, _ := r.told(); return n > 0 })
	r.looked(shard)
	if n, of := r.told(); n != 1 || of != shard || r.Shards()[0] != shard {
		t.Errorf("told %d times", n)
	}
	if after := shard.Replication(); after.RunID == before.RunID || after.ID == before.ID {
		t.Errorf("replication: %+v, before %+v", after, before)
	}
	if st := r.Stats(); st.Losses != 1 || st.ReplicationChanges != 1 || st.Shards != 1 || st.Up != 1 || st.Latency <= 0 || st.Connections == 0 {
		t.Errorf("stats: %+v", st)
	}
}

func TestARestartBetweenTwoLooksIsNoticedByTheRunID(t *testing.T) {
	t.Parallel()
	s := redistest.Single(t)
	r := newRig(t, s.Config()).wait()
	before := r.Shards()[0].Replication()
	s.Restart()
	r.until("the change", func() bool { n, _ := r.told(); return n > 0 })
	if now := r.Shards()[0].Replication(); now.RunID == before.RunID {
		t.Errorf("replication: %+v", now)
	}
}

func TestAHaltedServerIsAwayAndUncertainWhenItGoesOn(t *testing.T) {
	t.Parallel()
	s := redistest.Single(t)
	r := newRig(t, s.Config()).wait()
	before := r.Shards()[0].Replication()
	s.Stop()
	r.until("the loss", func() bool { return !r.Shards()[0].Up() })
	s.Continue()
	r.wait()
	r.until("the change", func() bool { n, _ := r.told(); return n == 1 })
	if now := r.Shards()[0].Replication(); now != before {
		t.Errorf("the same server: %+v, before %+v", now, before)
	}
}

func TestAConnectionThatIsCutIsNoLoss(t *testing.T) {
	t.Parallel()
	s := redistest.Single(t)
	r := newRig(t, s.Config()).wait()
	for range 3 {
		if err := s.Client().ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
			t.Fatal(err)
		}
		r.looked(r.Shards()[0])
	}
	if n, _ := r.told(); n != 0 || r.Stats().Losses != 0 || r.ready() != "" {
		t.Errorf("told %d times, %+v", n, r.Stats())
	}
}

func TestReplicasThatFollowAreCounted(t *testing.T) {
	t.Parallel()
	s := redistest.Single(t)
	r := newRig(t, s.Config()).wait()
	replica := redistest.Replica(t, s)
	r.until("a replica", func() bool { return r.Shards()[0].Replication().Replicas == 1 && r.Stats().Replicas == 1 })
	replica.Kill()
	r.until("none", func() bool { return r.Shards()[0].Replication().Replicas == 0 })
	// A master takes a new replication ID for its first replica. From here that
	// cannot be told from one that followed another meanwhile.
	if n, _ := r.told(); n > 1 {
		t.Errorf("told %d times", n)
	}
}

func TestReadinessSaysWhyRedisIsNoUse(t *testing.T) {
	t.Parallel()
	open := redistest.Single(t)
	locked := redistest.Single(t, "--requirepass", "hush-hush")
	replica := redistest.Replica(t, open)
	if err := open.Client().ACLSetUser(t.Context(), "blind", "on", "nopass", "~*", "&*", "+@all", "-info").Err(); err != nil {
		t.Fatal(err)
	}
	noPassword, wrongPassword, blind := locked.Config(), locked.Config(), open.Config()
	noPassword.Password, wrongPassword.Password = "", "hush-wrong"
	blind.Username, blind.Password = "blind", "any"
	for name, c := range map[string]struct {
		cfg  redisconn.Config
		want string
	}{
		"no password":      {noPassword, "redis refuses the user or the password"},
		"a wrong password": {wrongPassword, "redis refuses the user or the password"},
		"no INFO":          {blind, "redis forbids the command INFO, which the gateway needs"},
		"a replica":        {replica.Config(), "redis is a replica and takes no writes"},
		"the right one":    {locked.Config(), ""},
	} {
		r := newRig(t, c.cfg)
		r.until(name, func() bool { return r.ready() == c.want })
		for _, line := range r.logs.All() {
			for _, value := range line.ContextMap() {
				if text, ok := value.(string); ok && strings.Contains(text, "hush") {
					t.Errorf("%s: logged %q", name, text)
				}
			}
		}
	}
}

func TestDataOfANewerVersionIsNotTouched(t *testing.T) {
	t.Parallel()
	s := redistest.Single(t)
	if err := s.Client().Set(t.Context(), "test:schema", "2", 0).Err(); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, s.Config())
	const want = "redis holds data of a newer version of the gateway"
	r.until("the refusal", func() bool { return r.ready() == want })
	if _, err := r.Shard(t.Context(), "a"); err == nil || err.Error() != want {
		t.Errorf("a shard: %v", err)
	}
	r.looked(r.Shards()[0])
	if n := r.logs.FilterMessageSnippet("newer version").Len(); n != 1 {
		t.Errorf("%d lines", n)
	}
	if err := s.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	r.wait()
	if got := s.Client().Get(t.Context(), "test:schema").Val(); got != "1" {
		t.Errorf("the schema is %q", got)
	}
}

func TestAPolicyThatEvictsIsWarnedOfOnce(t *testing.T) {
	t.Parallel()
	s := redistest.Single(t, "--maxmemory-policy", "allkeys-lru")
	r := newRig(t, s.Config()).wait()
	s.Restart()
	r.until("the change", func() bool { n, _ := r.told(); return n > 0 })
	if n := r.logs.FilterMessageSnippet("noeviction").Len(); n != 1 {
		t.Errorf("%d warnings", n)
	}
}

func TestAnOldServerIsRecognised(t *testing.T) {
	t.Parallel()
	for info, want := range map[string]bool{
		"redis_version:6.2.14\r\n": true, "redis_version:7.0.0\r\n": false, "redis_version:8.2.1\r\n": false,
		"redis_version:255.255.255\r\n": false, "redis_version:unstable\r\n": false, "": false,
	} {
		if got := redisconn.Old(info); got != want {
			t.Errorf("%q: %v", info, got)
		}
	}
}

func TestASocketAndAURLWithADatabase(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	s := redistest.Single(t, "--unixsocket", socket, "--requirepass", "p@ss:/#")
	for _, url := range []string{"unix://:p%40ss%3A%2F%23@" + socket + "?db=3", "redis://:p%40ss%3A%2F%23@" + s.Addr() + "/3"} {
		r := newRig(t, redisconn.Config{URL: url, Prefix: "u" + url[:4] + ":"}).wait()
		shard, err := r.Shard(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if err := shard.Client().Set(t.Context(), r.Key("k", "a"), "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Client().Get(t.Context(), r.Key("k", "a")).Result(); got != "v" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	info := s.Client().Info(t.Context(), "keyspace").Val()
	if !strings.Contains(info, "db3:keys=4") {
		t.Errorf("keyspace: %s", info)
	}
}

func TestClosingEndsWaitsAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	r := newRig(t, redisconn.Config{ClusterAddrs: []string{"127.0.0.1:1"}})
	failed := make(chan error)
	go func() {
		_, err := r.Shard(context.Background(), "a")
		failed <- err
	}()
	r.Close()
	r.Close()
	if err := <-failed; !errors.Is(err, redisconn.ErrAway) {
		t.Errorf("got %v", err)
	}
	r.Start() // after Close: nothing
	never := redistest.NewManager(t, redisconn.Config{Host: "127.0.0.1", Port: 1})
	never.Close()
}
