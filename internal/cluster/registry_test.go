package cluster

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestAProcessWithoutRedisKnowsItselfAlone(t *testing.T) {
	r := alone(t, Load{Connections: 3, Capacity: 4})
	r.Start()
	defer func() {
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	view := r.View()
	if len(view) != 1 || view[0].ID != "a" || view[0].Connections != 3 || view[0].State != Ready || !r.Alone() {
		t.Errorf("%+v", view)
	}
	if !r.Live(r.Incarnation()) || r.Live("other") || len(r.Incarnation()) != 8 {
		t.Errorf("incarnation %q", r.Incarnation())
	}
	if s := r.Stats(); s.Instances[Ready] != 1 || s.Beats != 0 {
		t.Errorf("%+v", s)
	}
}

func TestInstancesKnowEachOtherAndTellAtOnceThatTheyDrainOrLeave(t *testing.T) {
	t.Parallel()
	server := redistest.Single(t)
	cfg := server.Config()
	cfg.Prefix = "fleet:"
	slow := settings("a")
	slow.TTL = time.Minute // what is seen below is seen without waiting for a heartbeat
	slow.Zone, slow.AdvertiseURL = "z1", "https://a.example/"
	a := join(t, cfg, slow)
	until(t, "a's first heartbeat", func() bool { return a.kept.Load() > 0 })
	slow.ID = "b"
	b := join(t, cfg, slow)
	until(t, "b sees both", func() bool { return b.sees("a", "b") })
	a.Beat() // what the bus does when b is announced
	until(t, "a sees both", func() bool { return a.sees("a", "b") })
	seen := b.View()[0]
	if seen.URL != "wss://a.example" || seen.Zone != "z1" || seen.Version != "1.0" || seen.Address == "" || seen.Incarnation != a.Incarnation() ||
		seen.Capacity != 10 || seen.Connections != 1 || seen.State != Ready || seen.Heartbeat.IsZero() || seen.Started.IsZero() {
		t.Errorf("%+v", seen)
	}
	a.load.Store(&Load{Connections: 1, Capacity: 10, Draining: true})
	a.Beat()
	until(t, "b sees a drain", func() bool { b.Beat(); return b.View()[0].State == Draining })
	until(t, "b is told of both", func() bool { return b.changes.Load() >= 2 })
	if err := a.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "b sees a gone", func() bool { b.Beat(); return b.sees("b") })
	until(t, "b is told", func() bool { return slices.Equal(b.told(), []string{a.Incarnation()}) })
	if b.Live(a.Incarnation()) {
		t.Error("a lives on")
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Errorf("a second shutdown: %v", err)
	}
}

// patient are settings of an instance that a slow machine does not take for a
// dead one.
func patient(id string) Config {
	cfg := settings(id)
	cfg.TTL = 3 * time.Second
	return cfg
}

func TestAnInstanceThatIsNotHeardOfHasGoneOnceForEverybody(t *testing.T) {
	t.Parallel()
	cfg := redistest.Single(t).Config()
	cfg.Prefix = "fleet:"
	a, b, c := join(t, cfg, patient("a")), join(t, cfg, patient("b")), join(t, cfg, patient("c"))
	for _, m := range []*member{a, b, c} {
		until(t, "all are seen", func() bool { return m.sees("a", "b", "c") })
	}
	c.crash()
	for _, m := range []*member{a, b} {
		until(t, "c is not seen", func() bool { return m.sees("a", "b") })
		until(t, "c's end is told", func() bool { return len(m.told()) > 0 })
	}
	beats := b.Stats().Beats
	until(t, "more heartbeats", func() bool { b.Beat(); return b.Stats().Beats > beats+3 })
	for _, m := range []*member{a, b} {
		if got := m.told(); !slices.Equal(got, []string{c.Incarnation()}) {
			t.Errorf("told of %v", got)
		}
	}
}

func TestAFlushedRedisLosesNobody(t *testing.T) {
	t.Parallel()
	server := redistest.Single(t)
	cfg := server.Config()
	cfg.Prefix = "fleet:"
	slow := settings("a")
	slow.TTL = time.Minute // heartbeats come when they are asked for
	a := join(t, cfg, slow)
	slow.ID = "b"
	b := join(t, cfg, slow)
	until(t, "both are seen", func() bool { a.Beat(); b.Beat(); return a.sees("a", "b") && b.sees("a", "b") })
	if err := server.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	a.Beat()
	b.Beat()
	until(t, "Redis knows both", func() bool { return server.Client().ZCard(t.Context(), a.redis.keys[0]).Val() == 2 })
	kept := a.kept.Load()
	a.Beat()
	until(t, "a has looked again", func() bool { return a.kept.Load() > kept })
	if !a.sees("a", "b") || !b.sees("a", "b") || len(a.told())+len(b.told()) > 0 {
		t.Errorf("a sees %v, b sees %v, told of %v %v", a.View(), b.View(), a.told(), b.told())
	}
}

func TestWhileRedisIsAwayAnInstanceSoonSeesItselfAloneAndLaterNobodyHasGone(t *testing.T) {
	t.Parallel()
	server := redistest.Single(t)
	cfg := server.Config()
	cfg.Prefix = "fleet:"
	a, b := join(t, cfg, patient("a")), join(t, cfg, patient("b"))
	until(t, "both are seen", func() bool { return a.sees("a", "b") && b.sees("a", "b") })
	server.Kill()
	until(t, "only they themselves are seen", func() bool { return a.sees("a") && b.sees("b") })
	server.Restart()
	until(t, "both are seen again", func() bool { return a.sees("a", "b") && b.sees("a", "b") })
	beats := a.Stats().Beats
	until(t, "more heartbeats", func() bool { a.Beat(); return a.Stats().Beats > beats+6 })
	if len(a.told())+len(b.told()) > 0 {
		t.Errorf("told of %v %v", a.told(), b.told())
	}
	if a.Stats().Failures == 0 {
		t.Error("no failure is counted")
	}
}

func TestInstancesMeetInARedisCluster(t *testing.T) {
	t.Parallel()
	cfg := redistest.ClusterConfig(redistest.Cluster(t))
	cfg.Prefix = "fleet:"
	a, b := join(t, cfg, settings("a")), join(t, cfg, settings("b"))
	until(t, "both are seen", func() bool { return a.sees("a", "b") && b.sees("a", "b") })
}

func TestWhatAViewBecomes(t *testing.T) {
	now := time.Now()
	p := func(incarnation string, state State, until time.Duration) peer {
		return peer{Instance{ID: incarnation, Incarnation: incarnation, State: state}, now.Add(until)}
	}
	for _, c := range []struct {
		name    string
		before  []peer
		answer  []peer
		settled bool
		living  string
		gone    string
		changed bool
	}{
		{"the first", nil, []peer{p("b", Ready, 1)}, true, "b", "", true},
		{"the same again", []peer{p("b", Ready, 1)}, []peer{p("b", Ready, 2)}, true, "b", "", false},
		{"another state", []peer{p("b", Ready, 1)}, []peer{p("b", Full, 2)}, true, "b", "", true},
		{"one that has left", []peer{p("b", Ready, 1)}, []peer{p("b", left, 2)}, true, "", "b", true},
		{"one that had left", nil, []peer{p("b", left, 2)}, true, "", "", false},
		{"one that Redis has forgotten", []peer{p("b", Ready, 1)}, nil, true, "b", "", false},
		{"one whose time is over", []peer{p("b", Ready, -1)}, nil, true, "", "b", true},
		{"one whose time ran out while Redis was away", []peer{p("b", Ready, -1)}, nil, false, "", "", false},
		{"one that is back from there", []peer{p("b", Ready, -1)}, []peer{p("b", Ready, 1)}, false, "b", "", true},
	} {
		v := &view{peers: map[string]peer{}}
		for _, one := range c.before {
			v.peers[one.Incarnation] = one
		}
		next, n := v.merge(c.answer, now, c.settled)
		if got := strings.Join(names(next.living(now)), " "); got != c.living {
			t.Errorf("%s: %q live", c.name, got)
		}
		if got := strings.Join(n.gone, " "); got != c.gone || n.changed != c.changed {
			t.Errorf("%s: %q gone, changed %v", c.name, got, n.changed)
		}
		if len(v.peers) != len(c.before) {
			t.Errorf("%s: the view before has changed", c.name)
		}
	}
}

func TestAnswersThatCannotBeReadAreCounted(t *testing.T) {
	good, err := json.Marshal(Instance{ID: "b", Incarnation: "bbb", State: Ready})
	if err != nil {
		t.Fatal(err)
	}
	asked := time.Now()
	for _, c := range []struct {
		name   string
		answer []any
		all    int
		bad    int
	}{
		{"nothing", nil, 0, 1},
		{"no time", []any{"x"}, 0, 1},
		{"nobody", []any{int64(1)}, 0, 0},
		{"one", []any{int64(1), "bbb", int64(5), string(good)}, 1, 0},
		{"half of one", []any{int64(1), "bbb"}, 0, 0},
		{"another's record", []any{int64(1), "ccc", int64(5), string(good)}, 0, 1},
		{"no record", []any{int64(1), "bbb", int64(5), ""}, 0, 1},
		{"no text", []any{int64(1), int64(2), int64(5), nil}, 0, 1},
	} {
		all, bad := readBeat(c.answer, asked, time.Second)
		if len(all) != c.all || bad != c.bad {
			t.Errorf("%s: %d read, %d not", c.name, len(all), bad)
		}
	}
	all, _ := readBeat([]any{int64(1000), "bbb", int64(9_000_000), string(good)}, asked, time.Second)
	if len(all) != 1 || all[0].until.After(asked.Add(time.Second)) {
		t.Errorf("lives until %v", all)
	}
}

func TestAFailingKeeperIsCalledAgain(t *testing.T) {
	t.Parallel()
	m := redistest.NewManager(t, redistest.Single(t).Config())
	r, err := New(settings("a"), m, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	calls := make(chan struct{}, 100)
	r.AddKeeper(func(context.Context) error { calls <- struct{}{}; return context.DeadlineExceeded })
	m.Start()
	r.Start()
	r.Start() // does nothing
	for range 3 {
		<-calls
	}
	if err := r.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWhatAnInstanceIsSaidToTake(t *testing.T) {
	for _, c := range []struct {
		load Load
		want State
	}{
		{Load{Capacity: 1}, Ready},
		{Load{Connections: 1, Capacity: 1}, Full},
		{Load{Capacity: 1, Full: true}, Full},
		{Load{Capacity: 1, Full: true, Draining: true}, Draining},
	} {
		if got := c.load.state(); got != c.want {
			t.Errorf("%+v: %s", c.load, got)
		}
	}
}

func TestCPUUseIsAFraction(t *testing.T) {
	m := newCPUMeter()
	m.at = m.at.Add(-time.Minute)
	if got := m.read(); got < 0 || got > 1 {
		t.Errorf("%v", got)
	}
	m.share = 0.5
	if got := m.read(); got != 0.5 {
		t.Errorf("measured again at once: %v", got)
	}
}
