//go:build linux

package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/proc"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// Command is the name under which this program serves as a worker.
const Command = "worker"

// Plan is what the workers are to do.
type Plan struct {
	Self     string // this program
	Scenario string
	Shares   []bench.Options // one for each worker
	Progress *report.Progress
	Stderr   io.Writer // of the workers

	// AtBorder is called when all workers wait at a border; they go on once it
	// has returned, each with its number (none: 0). nil does nothing.
	AtBorder func(ctx context.Context, border string) (numbers []int64, err error)
	// Server adds what the servers are using to a point of the series; nil: it
	// is what the workers see.
	Server func(p *report.Point)
}

// graceful is how long workers that were told to stop may take to say what they
// have.
const graceful = time.Minute

// Run starts the workers and leads them to one result. All have ended when it
// returns. If one fails, the others are stopped, and the result is of what
// there is; it is nil if there is nothing.
func Run(ctx context.Context, p *Plan) (*report.Result, error) {
	herd := proc.NewHerd()
	r := &run{plan: p, events: make(chan event), gone: make(chan struct{})}
	defer func() { // readers end with the processes
		herd.Stop(3 * time.Second)
		close(r.gone)
		r.readers.Wait()
	}()
	for i := range p.Shares {
		if err := r.start(herd, i); err != nil {
			return nil, err
		}
	}
	err := r.lead(ctx)
	res, merging := r.merge()
	return res, errors.Join(err, merging)
}

// run is one run. Owned by the goroutine that called Run, except for the
// readers.
type run struct {
	plan     *Plan
	hands    []*hand
	stopping bool
	stopped  <-chan time.Time // the workers have had time enough; nil: they were not stopped
	err      error            // the first fault
	phase    string

	events  chan event
	gone    chan struct{} // closed when nobody takes events any more
	readers sync.WaitGroup
}

// hand is the leading process's side of a worker.
type hand struct {
	in     *json.Encoder
	border string // where it waits; "": it does not
	status report.Status
	result *report.Result
	ended  bool
}

// event is what a worker said, or that its output ended.
type event struct {
	from int
	word
	ended bool
}

func (r *run) start(herd *proc.Herd, i int) error {
	cmd := exec.Command(r.plan.Self, Command) //nolint:gosec,noctx // this program; the herd ends it
	cmd.Stderr = r.plan.Stderr
	if len(r.plan.Shares) > runtime.NumCPU() { // each has a core now and then
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start worker %d: %w", i+1, err)
	}
	out, child, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start worker %d: %w", i+1, err)
	}
	cmd.Stdout = child
	_, err = herd.Start(cmd)
	_ = child.Close()
	if err != nil {
		_ = out.Close()
		return fmt.Errorf("worker %d: %w", i+1, err)
	}
	h := &hand{in: json.NewEncoder(in)}
	r.hands = append(r.hands, h)
	r.readers.Go(func() { r.read(i, out) })
	return h.in.Encode(order{Job: &job{Scenario: r.plan.Scenario, Options: r.plan.Shares[i]}})
}

// read passes on what a worker says until it ends.
func (r *run) read(i int, out *os.File) {
	defer func() { _ = out.Close() }()
	for d := json.NewDecoder(out); ; {
		e := event{from: i}
		e.ended = d.Decode(&e.word) != nil
		select {
		case r.events <- e:
		case <-r.gone:
			return
		}
		if e.ended {
			return
		}
	}
}

// lead works until every worker has ended or had time enough to.
func (r *run) lead(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithCancel(ctx)
	ended := ctx.Done()
	var at chan crossing // of a border that is being crossed; nil: none
	defer func() {
		cancel()
		if at != nil {
			<-at
		}
	}()
	for r.running() > 0 {
		select {
		case e := <-r.events:
			r.take(e)
		case c := <-at:
			at = nil
			r.cross(c)
		case <-tick.C:
			r.show()
		case <-ended:
			ended = nil
			r.stop(context.Cause(ctx))
		case <-r.stopped:
			r.stopped = nil
			return errors.Join(r.err, errors.New("workers did not end when told to"))
		}
		at = r.atBorder(ctx, at)
	}
	return r.err
}

func (r *run) running() (n int) {
	for _, h := range r.hands {
		if !h.ended {
			n++
		}
	}
	return n
}

func (r *run) take(e event) {
	h := r.hands[e.from]
	switch {
	case e.ended:
		h.ended = true
		if h.result == nil {
			r.stop(fmt.Errorf("worker %d ended without a result", e.from+1))
		}
	case e.Border != "":
		h.border = e.Border
	case e.Status != nil:
		h.status = *e.Status
		r.follow(e.from, e.Status)
	case e.Result != nil:
		h.result = e.Result
		for _, c := range e.Result.Checks {
			if c.Name == notDone {
				r.stop(nil) // its result says why
			}
		}
	}
}

// follow keeps the phase shown that of the first worker.
func (r *run) follow(from int, s *report.Status) {
	if from > 0 || s.Phase == r.phase {
		return
	}
	r.phase = s.Phase
	r.plan.Progress.Phase(s.Phase)
	if s.Lasts > 0 {
		r.plan.Progress.Lasts(s.Lasts - s.Elapsed)
	}
}

// stop tells all to stop; only the first call does anything.
func (r *run) stop(why error) {
	if r.stopping {
		return
	}
	r.stopping, r.err = true, why
	r.stopped = time.After(graceful)
	for _, h := range r.hands {
		_ = h.in.Encode(order{Stop: true})
	}
}

// show adds a point of all workers to the series if it is time.
func (r *run) show() {
	p := r.plan.Progress
	if !p.Due() {
		return
	}
	points := make([]report.Point, 0, len(r.hands))
	for _, h := range r.hands {
		points = append(points, h.status.Point)
	}
	sum := report.Together(points...)
	sum.At = 0
	if r.plan.Server != nil {
		r.plan.Server(&sum)
	}
	p.Add(sum)
}
