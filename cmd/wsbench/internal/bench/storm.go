//go:build linux

package bench

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// spreadGoal is how far from the mean a target's connections may be for the
// fleet to count as balanced.
const spreadGoal = 0.15

// catchUp bounds the wait for members to have what was acknowledged.
const catchUp = 20 * time.Second

// Storm holds connections that come back, to any of the targets and from where
// they were, while somebody ends one server or the servers hand connections
// off; and judges how soon all are back, and whether any missed anything.
func Storm(ctx context.Context, o *Options, res *report.Result) error {
	run := res.Run("gateway")
	s := &storm{
		rooms: make([]stormRoom, (o.Conns+o.RoomSize-1)/max(o.RoomSize, 1)+1),
		at:    make([]atomic.Int64, len(splitURLs(o.URL))),
	}
	f, err := newFleet(o, roomOfIdle(o), func(cl *client) app {
		a := newStormApp(s, cl)
		s.apps = append(s.apps, a)
		return a
	})
	if err != nil {
		return err
	}
	s.f = f
	err = s.lead(ctx)
	for i := range s.at {
		s.after = append(s.after, s.at[i].Load())
	}
	f.each(func(cl *client) { cl.app.(*stormApp).over = true })
	if stop := f.stop(); err == nil {
		err = stop
	}
	if s.begin != 0 {
		s.report(res, run)
	}
	return err
}

// storm is one run.
type storm struct {
	f     *fleet
	apps  []*stormApp
	rooms []stormRoom
	at    []atomic.Int64 // connections that are up, by target

	// Owned by lead.
	begin    int64
	back     int64 // when all were up again, after the last time that some were not
	balanced int64 // when the spread fell below the goal for good; 0: it is above
	after    []int64
}

// stormRoom is written by the loop of its publisher alone.
type stormRoom struct{ acked atomic.Uint64 }

func (s *storm) lead(ctx context.Context) error {
	f, o := s.f, s.f.opts
	if err := f.connect(ctx); err != nil {
		return err
	}
	f.each(func(cl *client) { cl.app.(*stormApp).start(f.clock.Now()) })
	o.Progress.Phase("hold")
	if err := f.pause(ctx, o.Settle); err != nil {
		return err
	}
	if _, err := f.border(ctx, "strike"); err != nil {
		return err
	}
	if err := s.strike(); err != nil {
		return err
	}
	o.Progress.Phase("storm")
	if err := s.watch(ctx); err != nil {
		return err
	}
	o.Progress.Phase("catch up")
	f.each(func(cl *client) { cl.app.(*stormApp).on = false })
	deadline := time.Now().Add(catchUp)
	return f.await(ctx, func() bool { return s.behind() == 0 || time.Now().After(deadline) })
}

// strike ends the victim.
func (s *storm) strike() error {
	s.begin = s.f.clock.Now()
	o := s.f.opts
	if o.Victim == 0 || !o.Share.first() {
		return nil
	}
	signal := unix.SIGKILL
	if o.Sigterm {
		signal = unix.SIGTERM
	}
	if err := unix.Kill(o.Victim, signal); err != nil {
		return fmt.Errorf("signal process %d: %w", o.Victim, err)
	}
	return nil
}

// watch looks on for as long as asked.
func (s *storm) watch(ctx context.Context) error {
	end := time.Now().Add(s.f.opts.Watch)
	down := s.f.opts.Victim == 0
	return s.f.await(ctx, func() bool {
		now := s.f.clock.Now()
		if s.f.up.Load() < int64(s.f.opts.Conns) {
			down, s.back = true, 0
		} else if down && s.back == 0 {
			s.back = now
		}
		if s.spread() > spreadGoal {
			s.balanced = 0
		} else if s.balanced == 0 {
			s.balanced = now
		}
		return !time.Now().Before(end)
	})
}

// spread is how far the target furthest from the mean is from it, of those
// that have connections, as a share of the mean.
func (s *storm) spread() float64 {
	var n, sum, worst float64
	for i := range s.at {
		if v := float64(s.at[i].Load()); v > 0 || s.f.opts.Victim == 0 {
			n, sum = n+1, sum+v
		}
	}
	if n == 0 || sum == 0 {
		return 0
	}
	mean := sum / n
	for i := range s.at {
		if v := float64(s.at[i].Load()); v > 0 || s.f.opts.Victim == 0 {
			worst = max(worst, math.Abs(v-mean)/mean)
		}
	}
	return worst
}

// behind counts members that do not have what was acknowledged in their room.
func (s *storm) behind() (n int) {
	s.f.each(func(*client) {}) // what the loops were doing is done
	for _, a := range s.apps {
		n += int(a.behind.Load())
	}
	return n
}

func (s *storm) report(res *report.Result, run *report.Run) {
	var v stormVerdict
	for _, a := range s.apps {
		v.add(a)
	}
	s.figures(run, &v)
	res.Check(s.back > 0 || v.returns == 0, "every connection came back", "%d of %d are up%s",
		s.sum(), s.f.opts.Conns, s.f.because(int64(v.attempts)))
	res.Check(v.lost == 0 && v.gaps == 0, "nothing is lost", "%d lost, %d gaps", v.lost, v.gaps)
	res.Check(v.refused == 0, "every resume was honoured", "%d refused", v.refused)
	res.Check(v.behind == 0, "every member has what was acknowledged", "%d members have not", v.behind)
	if s.f.opts.Victim == 0 && len(s.at) > 1 {
		res.Check(s.balanced > 0, "every target is within 15 % of the mean", "the spread is %.0f %%", 100*s.spreadAtEnd())
	}
	if v.repeated > 0 {
		res.Note("%d publications came again; a client drops them by their offset", v.repeated)
	}
}

func (s *storm) figures(run *report.Run, v *stormVerdict) {
	o, seconds := s.f.opts, func(t int64) float64 { return float64(t-s.begin) / 1e9 }
	run.Add("connections", float64(o.Conns), "")
	run.Add("came back", float64(v.returns), "")
	run.Add("attempts that failed", float64(v.attempts), "")
	if s.back > 0 {
		run.AddAs(report.Max, "all back after", seconds(s.back), "s")
	}
	for i := range s.at {
		run.Add(fmt.Sprintf("connections at target %d", i+1), float64(s.after[i]), "")
	}
	run.Add("most handed off in one second", float64(v.most), "")
	if s.balanced > 0 {
		run.AddAs(report.Max, "within 15 % of the mean after", seconds(s.balanced), "s")
	}
	run.Add("publications acknowledged", float64(s.acked()), "")
	run.Add("received", float64(s.f.messages.Load()), "")
	run.AddLatency("time away", &v.away)
}

func (s *storm) acked() (n uint64) {
	for i := range s.rooms {
		n += s.rooms[i].acked.Load()
	}
	return n
}

func (s *storm) sum() (n int64) {
	for _, v := range s.after {
		n += v
	}
	return n
}

func (s *storm) spreadAtEnd() float64 {
	mean, worst := float64(s.sum())/float64(len(s.after)), 0.0
	for _, v := range s.after {
		worst = max(worst, math.Abs(float64(v)-mean)/max(mean, 1))
	}
	return worst
}

// stormVerdict is what became of all connections together.
type stormVerdict struct {
	returns, attempts, refused, behind, most int
	lost, repeated, gaps                     uint64
	away                                     hdr.Histogram
}

func (v *stormVerdict) add(a *stormApp) {
	v.returns, v.attempts, v.refused = v.returns+a.returns, v.attempts+a.attempts, v.refused+a.refused
	v.lost, v.repeated, v.gaps = v.lost+a.lost, v.repeated+a.repeated, v.gaps+a.gaps
	v.behind += int(a.behind.Load())
	v.most += a.most // of loops at their own worst seconds: no less than all together
	v.away.Merge(&a.away)
}
