//go:build linux

package bench

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/proc"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// window holds the latencies of the step that is under way, of all loops.
type window struct {
	mu sync.Mutex
	h  hdr.Histogram // Guarded by mu.
}

func (w *window) add(h *hdr.Histogram) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.h.Merge(h)
}

// take ends the step; nil if nothing was measured in it.
func (w *window) take() *report.Percentiles {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.h.Count() == 0 {
		return nil
	}
	p := &report.Percentiles{P50: w.h.Quantile(0.5), P90: w.h.Quantile(0.9), P99: w.h.Quantile(0.99), Max: w.h.Max()}
	w.h.Reset()
	return p
}

// shortest is the least time over which a rate means anything.
const shortest = 250 * time.Millisecond

// progress adds the next point of the series if it is time.
func (f *fleet) progress() {
	if f.opts.Progress.Due() && time.Since(f.last.at) >= shortest {
		f.opts.Progress.Add(f.step())
	}
}

// step makes the next point of the series; rates are since the last one. It is
// called by the goroutine that leads the scenario.
func (f *fleet) step() report.Point {
	now := f.sample(0)
	s := between(f.last, now, f.opts.Threads)
	f.last = now
	p := report.Point{
		Span: s.seconds, Connections: f.up.Load(), Goal: int64(f.opts.Conns), Failed: now.total.Failed + now.total.Ended,
		Messages: s.messages / s.seconds, Bytes: s.readBytes / s.seconds, Latency: f.window.take(),
		ClientCPU: 100 * s.self / s.seconds,
	}
	p.ClientRSS, _ = proc.Resident(os.Getpid())
	if l := f.server.load(); l != nil {
		p.ServerRSS, p.ServerCPU = l.rss, l.percent
	}
	return p
}

// load is what a server is using.
type load struct {
	rss     int64
	percent float64 // of a core, since the last look
}

// watcher looks at the server once a second, by its process id or else through
// its metrics. A goroutine of its own, since metrics may be slow to come.
type watcher struct {
	now  atomic.Pointer[load] // nil: not known
	stop context.CancelFunc
	done chan struct{}
}

// look reads memory and CPU time, in total.
type look func(ctx context.Context) (rss int64, cpu time.Duration, err error)

// watchServer begins to look, until end or the end of ctx; nothing if o names
// neither.
func watchServer(ctx context.Context, o *Options) (*watcher, error) {
	read, closing, err := lookAt(o)
	if read == nil || err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{stop: cancel, done: make(chan struct{})}
	go func() { // ends with stop, which waits for it
		defer close(w.done)
		defer closing()
		w.run(ctx, read)
	}()
	return w, nil
}

func lookAt(o *Options) (read look, closing func(), err error) {
	switch {
	case o.PID > 0:
		return func(context.Context) (int64, time.Duration, error) {
			rss, err := proc.Resident(o.PID)
			if err != nil {
				return 0, 0, err
			}
			cpu, err := proc.CPU(o.PID)
			return rss, cpu, err
		}, func() {}, nil
	case o.Metrics != "":
		admin, err := proc.NewAdmin(o.Metrics, o.AdminKey)
		if err != nil {
			return nil, nil, err
		}
		return admin.Load, admin.Close, nil
	}
	return nil, nil, nil
}

func (w *watcher) run(ctx context.Context, read look) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	var cpuBefore time.Duration
	var before time.Time
	for {
		rss, cpu, err := read(ctx)
		now := time.Now()
		switch {
		case err != nil:
			w.now.Store(nil)
			before = time.Time{}
		case before.IsZero():
			w.now.Store(&load{rss: rss})
		default:
			w.now.Store(&load{rss: rss, percent: 100 * (cpu - cpuBefore).Seconds() / now.Sub(before).Seconds()})
		}
		if err == nil {
			cpuBefore, before = cpu, now
		}
		select {
		case <-ctx.Done():
			w.now.Store(nil)
			return
		case <-t.C:
		}
	}
}

// load is the last look; nil if there is none.
func (w *watcher) load() *load {
	if w == nil {
		return nil
	}
	return w.now.Load()
}

// end stops looking.
func (w *watcher) end() {
	if w != nil {
		w.stop()
		<-w.done
	}
}
