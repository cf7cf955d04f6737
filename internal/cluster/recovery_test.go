package cluster

import (
	"slices"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/socketio"
)

// stores are all there are: they must not differ.
func stores(t *testing.T, f func(t *testing.T, s socketio.Store)) {
	t.Run("memory", func(t *testing.T) { f(t, socketio.NewMemory()) })
	t.Run("redis", func(t *testing.T) { f(t, NewRecovery(redistest.Manager(t, redistest.Single(t).Config()))) })
	t.Run("redis cluster", func(t *testing.T) {
		f(t, NewRecovery(redistest.Manager(t, redistest.ClusterConfig(redistest.Cluster(t)))))
	})
}

func put(t *testing.T, s socketio.Store, all ...socketio.Record) []string {
	t.Helper()
	taken, err := s.Put(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

func takeFrom(t *testing.T, s socketio.Store, key, match, owner string) string {
	t.Helper()
	state, err := s.Take(t.Context(), key, match, owner, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return string(state)
}

func record(key, owner, state string) socketio.Record {
	r := socketio.Record{Key: key, Owner: owner, Match: "/\nann", TTL: time.Minute}
	if state != "" {
		r.State = []byte(state)
	}
	return r
}

func TestARecordIsTakenOnceByWhoMatches(t *testing.T) {
	stores(t, func(t *testing.T, s socketio.Store) {
		if taken := put(t, s, record("a", "1", "old"), record("b", "1", "b"), record("a", "1", "new")); taken != nil {
			t.Errorf("taken: %q", taken)
		}
		for name, match := range map[string]string{"another user": "/\nbob", "another namespace": "/chat\nann", "a guest": "/\n"} {
			if got := takeFrom(t, s, "a", match, "2"); got != "" {
				t.Errorf("%s took %q", name, got)
			}
		}
		if got := takeFrom(t, s, "a", "/\nann", "2"); got != "new" {
			t.Errorf("took %q", got)
		}
		if got := takeFrom(t, s, "a", "/\nann", "3"); got != "" {
			t.Errorf("took %q again", got)
		}
		if got := takeFrom(t, s, "none", "/\nann", "3"); got != "" {
			t.Errorf("took %q of nothing", got)
		}
		if got := takeFrom(t, s, "b", "/\nann", "3"); got != "b" {
			t.Errorf("took %q", got)
		}
	})
}

func TestWhoHasLostARecordWritesItNoMore(t *testing.T) {
	stores(t, func(t *testing.T, s socketio.Store) {
		put(t, s, record("a", "1", "x"), record("c", "1", "x"))
		takeFrom(t, s, "a", "/\nann", "2")
		// Neither before the new owner has written, nor after; nor is it deleted.
		if taken := put(t, s, record("c", "1", "y"), record("a", "1", "y"), record("a", "1", "")); !slices.Equal(taken, []string{"a", "a"}) {
			t.Errorf("taken: %q", taken)
		}
		if taken := put(t, s, record("a", "2", "z")); taken != nil {
			t.Errorf("taken: %q", taken)
		}
		if taken := put(t, s, record("a", "1", "y")); len(taken) != 1 {
			t.Errorf("taken: %q", taken)
		}
		if got := takeFrom(t, s, "a", "/\nann", "3"); got != "z" {
			t.Errorf("took %q", got)
		}
	})
}

func TestARecordThatIsDeletedOrOldIsGone(t *testing.T) {
	stores(t, func(t *testing.T, s socketio.Store) {
		put(t, s, record("a", "1", "x"), record("a", "1", ""))
		if got := takeFrom(t, s, "a", "/\nann", "2"); got != "" {
			t.Errorf("took %q", got)
		}
		brief := record("b", "1", "x")
		brief.TTL = time.Millisecond
		until(t, "the record's end", func() bool {
			put(t, s, brief)
			time.Sleep(5 * time.Millisecond)
			return takeFrom(t, s, "b", "/\nann", "2") == ""
		})
		// Another may begin then.
		until(t, "the end of who has taken it", func() bool {
			return len(put(t, s, record("b", "4", "y"))) == 0
		})
	})
}
