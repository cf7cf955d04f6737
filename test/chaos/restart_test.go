package chaos

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/test/chaos/check"
)

// probe is what /health/ready said at a time.
type probe struct {
	asked   time.Duration
	at      time.Duration // when it answered
	gateway int
	status  int
}

// outage is a time without Redis.
type outage struct{ from, to time.Duration }

// notice is how long after Redis went away readiness may still be told.
const notice = 2500 * time.Millisecond

func TestClientsStayWhileRedisIsKilledAndRestarted(t *testing.T) {
	program, err := programs.sound()
	if err != nil {
		t.Fatal(err)
	}
	r := begin(t, plan{program: program, gateways: 2, subscribers: crowd / 2, seed: seeds(t)[0]})
	r.stay, r.silence = time.Hour, patience // nobody leaves by itself
	for _, s := range r.subscribers {
		s.slow = false
	}
	for _, p := range r.publishers {
		p.loyal = true
	}
	stop := r.read()
	r.round(time.Second, func(context.Context) {})
	times, back := 1, patience
	if long() {
		times, back = 5, 2*time.Second // what is promised, on a machine that has the time
	}
	r.rules.Service = back

	probes := &prober{run: r}
	var outages []outage
	down := notice + 1500*time.Millisecond
	c := r.round(time.Second+time.Duration(times)*(down+3*time.Second), func(ctx context.Context) {
		end := probes.begin()
		defer end()
		sleep(ctx, time.Second) // until every publisher has its connection
		for range times {
			o := outage{from: r.history.Now()}
			r.redis.now().Kill()
			sleep(r.t.Context(), down)
			o.to = r.redis.restart(r.history)
			outages = append(outages, o)
			r.history.AddFault(check.Fault{Name: "kill and restart of Redis", Gateway: check.All, Start: o.from, End: o.to})
			sleep(ctx, 2500*time.Millisecond)
		}
	})
	stop()
	probes.truth(outages)
	r.undisturbed(c.record.Events, outages)
	found, counts := check.Check(c.record, r.rules)
	t.Logf("service was back %v after Redis at most, readiness %v", counts.Longest.Round(time.Millisecond), probes.latest.Round(time.Millisecond))
	t.Logf("%+v", counts)
	r.report(c.record, found)
}

// undisturbed judges that no connection ended, and that what was published
// while Redis was away was answered.
func (r *run) undisturbed(events []check.Event, outages []outage) {
	last, answered := outages[len(outages)-1], 0
	for i := range events {
		e := &events[i]
		switch {
		case e.Kind == check.Ended && e.At > outages[0].from && e.At < last.to+time.Second:
			r.problem("a connection of %s to gateway %d ended: %s", e.Who, e.Gateway, e.Reason)
		case e.Kind == check.Failed && inside(e, outages):
			answered++
			if !strings.Contains(e.Reason, errUnavailable.Error()) {
				r.problem("a publish of %s while Redis was away fails with: %s", e.Who, e.Reason)
			}
		case e.Kind == check.Acknowledged && inside(e, outages):
			r.problem("%s was acknowledged while Redis was away", e.Key)
		}
	}
	if answered == 0 {
		r.problem("nothing was published while Redis was away")
	}
}

// inside tells whether an attempt fell into an outage as a whole.
func inside(e *check.Event, outages []outage) bool {
	for _, o := range outages {
		if e.From > o.from+50*time.Millisecond && e.At < o.to-50*time.Millisecond {
			return true
		}
	}
	return false
}

// prober asks the gateways again and again whether they are ready.
type prober struct {
	*run
	latest time.Duration // from an outage's end until all were ready

	mu  sync.Mutex
	all []probe // guarded by mu
}

// begin asks until the returned function is called.
func (p *prober) begin() (end func()) {
	ctx, cancel := context.WithCancel(p.t.Context())
	var asking sync.WaitGroup
	for _, g := range p.gateways {
		asking.Go(func() {
			for ctx.Err() == nil {
				asked := p.history.Now()
				status := g.ready(p.t.Context())
				p.mu.Lock()
				p.all = append(p.all, probe{asked, p.history.Now(), g.n, status})
				p.mu.Unlock()
				sleep(ctx, 20*time.Millisecond)
			}
		})
	}
	return func() { cancel(); asking.Wait() }
}

// truth judges what was said: not ready while Redis was away, but for a moment
// at first, and ready otherwise, but for a moment at first.
func (p *prober) truth(outages []outage) {
	for _, a := range p.all {
		want, since := http.StatusOK, time.Duration(0)
		for _, o := range outages {
			switch {
			case a.asked >= o.to:
				want, since = http.StatusOK, a.asked-o.to
			case a.at >= o.to:
				want, since = a.status, 0 // it came back meanwhile: either is true
			case a.asked >= o.from:
				want, since = http.StatusServiceUnavailable, a.asked-o.from
			case a.at >= o.from:
				want, since = a.status, 0 // it went away meanwhile
			}
		}
		late := fmt.Sprintf("gateway %d says %d %v after Redis", a.gateway, a.status, since.Round(time.Millisecond))
		switch {
		case a.status == want:
		case want == http.StatusServiceUnavailable && since > notice:
			p.problem("%s went away", late)
		case want == http.StatusOK && (since == 0 || since > p.rules.Service):
			p.problem("%s came back", late)
		case want == http.StatusOK:
			p.latest = max(p.latest, since)
		}
	}
}
