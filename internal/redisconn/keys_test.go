package redisconn_test

import (
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestSlotsAreThoseThatRedisComputes(t *testing.T) {
	s := redistest.Single(t, "--cluster-enabled", "yes")
	m := redistest.NewManager(t, redisconn.Config{Host: "a", Prefix: "p:"})
	for _, tag := range []string{"", "a", "news", "user:7", "}", "}x", "%", "%7D", "a}b", "a{b}c", "{", "{}", "ключ", "\x00\xff", "#c-1", "*"} {
		for _, kind := range []string{"m", "l"} {
			want, err := s.Client().ClusterKeySlot(t.Context(), m.Key(kind, tag)).Result()
			if err != nil {
				t.Fatal(err)
			}
			if got := redisconn.SlotOf(tag); got != int(want) {
				t.Errorf("%q: slot %d, Redis says %d", tag, got, want)
			}
		}
	}
}

func TestKeysOfDifferentTagsDiffer(t *testing.T) {
	m := redistest.NewManager(t, redisconn.Config{Host: "a", Prefix: "p:"})
	if got := m.Key("m", "news"); got != "p:m:{news}" || m.Prefix() != "p:" {
		t.Errorf("got %q", got)
	}
	seen := map[string]string{}
	for _, tag := range []string{"", "%", "%%", "}", "%}", "a", "%a", "a}", "%}a", "}a"} {
		key := m.Key("m", tag)
		if other, twice := seen[key]; twice {
			t.Errorf("%q and %q are both %q", tag, other, key)
		}
		seen[key] = tag
	}
}

func BenchmarkShard(b *testing.B) {
	m := redistest.NewManager(b, redisconn.Config{Host: "a"})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Shard(b.Context(), "a-room-with-a-name-of-common-length"); err != nil {
			b.Fatal(err)
		}
	}
}
