package fleet

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestConnectTellsTheURLOfTheEmptiestInstance(t *testing.T) {
	t.Parallel()
	f := newFleet(t, on(redistest.Single(t)), "REBALANCE_ENABLED=false")
	a, b := f.advertise("a"), f.advertise("b")
	f.settle()
	for n := range 8 {
		a.connect(fmt.Sprint("user-", n))
	}
	for _, g := range f.all {
		until(t, g.name+" sends clients to b", func() bool {
			status, d := g.where()
			if status != http.StatusOK || !strings.HasPrefix(d.URL, "ws://127.0.0.1:") || !strings.HasSuffix(d.URL, "/ws") {
				t.Fatalf("%d %+v", status, d)
			}
			return d.Instance == "b" && d.URL == b.socket() && slices.Equal(d.Alternatives, []string{a.socket()})
		})
	}
	_, d := a.where()
	c, status := dial(t, d.URL, "late")
	if c == nil {
		t.Fatalf("status %d at %s", status, d.URL)
	}
	c.cut()
	// Who drains gets nobody; when all do, clients are told to wait.
	a.done("drain", map[string]any{"instance": "b"})
	for _, g := range f.all {
		until(t, g.name+" sends clients to a", func() bool {
			status, d := g.where()
			return status == http.StatusOK && d.Instance == "a" && d.Alternatives == nil
		})
	}
	b.done("drain", map[string]any{"instance": "a"})
	for _, g := range f.all {
		until(t, g.name+" sends clients nowhere", func() bool {
			status, d := g.where()
			seconds, err := strconv.Atoi(d.RetryAfter)
			return status == http.StatusServiceUnavailable && d.Code == "unavailable" && err == nil && seconds >= 5 && seconds <= 15
		})
	}
}

func TestConnectTellsTheSameOriginWhenInstancesHaveNoURLs(t *testing.T) {
	t.Parallel()
	f := start(t, "a b")
	for _, g := range f.all {
		if status, d := g.where(); status != http.StatusOK || d.URL != g.socket() || d.Instance != "" || d.Alternatives != nil {
			t.Errorf("%s: %d %+v", g.name, status, d)
		}
	}
}

// balance is what is told of the load.
type balance struct {
	Instances, Ready, Draining, Connections int
	Spread                                  float64
	Rebalance                               struct {
		Enabled              bool
		Active               []string
		Remaining, HandedOff int
	}
}

func (g *gateway) balance() (b balance) {
	g.get("/api/v1/load-balancer", &b)
	return b
}

func TestAnInstanceThatComesGetsItsShareAndNobodyMissesAnything(t *testing.T) {
	t.Parallel()
	const crowd, rate = 150, 100
	f := newFleet(t, on(redistest.Single(t)), "REBALANCE_MIN=20", fmt.Sprint("REBALANCE_RATE=", rate), "REBALANCE_SETTLE=1s")
	a := f.advertise("a")
	f.settle()
	var members []*member
	for n := range crowd {
		members = append(members, stay(t, fmt.Sprint("user-", n), "room", a.socket()))
	}
	hush := a.talk("room")
	b := f.advertise("b")
	f.settle()
	until(t, "the connections are spread", func() bool {
		x := b.balance()
		return x.Connections == crowd && x.Spread <= 0.15 && len(x.Rebalance.Active) == 0
	})
	last := hush()
	var told []time.Time
	there := 0
	for _, m := range members {
		m.hears(last)
		if m.home() == "b" {
			there++
		}
		for _, one := range m.moved() {
			if one.reason != "rebalance" || one.code != 1012 || one.url != b.socket() {
				t.Errorf("%s went with %+v", m.user, one)
			}
			told = append(told, one.at)
		}
	}
	slices.SortFunc(told, time.Time.Compare)
	x := a.balance()
	took := told[len(told)-1].Sub(told[0])
	t.Logf("%d of %d on the new one after %d moves in %v; %d messages; %+v", there, crowd, len(told), took.Round(time.Millisecond), last, x)
	if there < crowd*35/100 || len(told) > crowd*60/100 || x.Rebalance.HandedOff != len(told) || !x.Rebalance.Enabled {
		t.Errorf("%d on the new one, %d moves, %+v", there, len(told), x)
	}
	// So many cannot have been told faster; a slow machine makes it longer.
	if least := time.Duration(len(told)) * time.Second / rate * 2 / 3; took < least {
		t.Errorf("%d were told within %v: the rate is not kept", len(told), took)
	}
}

func TestADrainThroughTheAPISendsEverybodyToTheOthers(t *testing.T) {
	t.Parallel()
	f := start(t, "a b c", "REBALANCE_ENABLED=false")
	a, b, c := f.all[0], f.all[1], f.all[2]
	var members []*member
	for n := range 12 {
		members = append(members, stay(t, fmt.Sprint("user-", n), "room", b.socket(), a.socket(), c.socket()))
	}
	watcher := a.enter("watcher", "room")
	hush := c.talk("room")
	members[0].hears(10)
	if got := a.done("drain", map[string]any{"instance": "b"}); got.Draining != 1 {
		t.Errorf("drains: %+v", got)
	}
	for _, m := range members {
		until(t, m.user+" is elsewhere", func() bool { return m.home() == "a" || m.home() == "c" })
	}
	last := hush()
	for _, m := range members {
		m.hears(last)
		if moves := m.moved(); moves[0].reason != "drain" || moves[0].code != 1012 {
			t.Errorf("%s went with %+v", m.user, moves)
		}
	}
	if status, _ := b.ask(http.MethodGet, "http://"+b.public+"/health/live", nil); b.ready() != http.StatusServiceUnavailable || status != http.StatusOK {
		t.Errorf("ready %d, live %d", b.ready(), status)
	}
	if ws, status := open(b.socket(), "late"); ws != nil || status != http.StatusServiceUnavailable {
		t.Errorf("it lets somebody in: %d", status)
	}
	if status, got := b.post("publish", map[string]any{"room": "room", "event": "m"}); status != http.StatusServiceUnavailable || !got.Retryable {
		t.Errorf("it publishes: %d %+v", status, got)
	}
	for _, g := range f.all {
		until(t, g.name+" says so", func() bool {
			x := g.balance()
			return x.Instances == 3 && x.Ready == 2 && x.Draining == 1 && g.instances()[1].State == "draining"
		})
	}
	if again := c.done("drain", map[string]any{"instance": "b"}); again.Draining != 1 {
		t.Errorf("again: %+v", again)
	}
	if status, got := a.post("drain", map[string]any{"instance": "nobody"}); status != http.StatusNotFound {
		t.Errorf("an instance that there is not: %d %+v", status, got)
	}
	b.stop()
	until(t, "it has left", func() bool {
		return slices.Equal(a.sees(), []string{"a", "c"}) && slices.Equal(c.sees(), []string{"a", "c"})
	})
	for _, m := range members {
		if n := watcher.told("member_left", "room", m.user); n != 0 {
			t.Errorf("%s was said to have left %d times", m.user, n)
		}
	}
}
