//go:build linux

package million

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"syscall"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/proc"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/workers"
)

// quiet is how long nothing may come of what was published, and upLimit what
// the ramp may take beyond three times what was asked for.
const (
	quiet   = time.Minute
	upLimit = 5 * time.Minute
)

// Run does all of it and puts the outcome into res. It returns when all that it
// started has ended.
func Run(ctx context.Context, cfg *Config, res *report.Result) (err error) {
	if err := cfg.enough(); err != nil {
		return err
	}
	cfg.Progress.Phase("start")
	before, err := readKernel()
	if err != nil {
		return err
	}
	s, err := startStack(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	shares, err := workers.Split(cfg.options(s), cfg.processes(), workers.Shared)
	if err != nil {
		return err
	}
	for i := range shares {
		shares[i].URL = s.url(i)
	}
	l := &leader{s: s, shares: shares, meter: newGauge(s), nothing: before}
	merged, err := workers.Run(ctx, &workers.Plan{
		Self: cfg.Self, Scenario: Scenario, Shares: shares, Progress: cfg.Progress, Stderr: cfg.Stderr,
		AtBorder: l.border, Server: l.meter.show,
	})
	if merged != nil {
		res.Take(merged)
		l.report(res)
	}
	return err
}

// Scenario is the name under which workers find bench.Hold.
const Scenario = "hold"

// sources are the addresses of one worker. The kernel looks for a free port for
// each connection of an address to a gateway, for long when most are taken.
const sources = 8

func (c *Config) options(s *stack) *bench.Options {
	wanted := time.Duration(float64(c.Connections) / float64(c.Ramp) * float64(time.Second))
	return &bench.Options{
		URL: s.url(0), Conns: c.Connections, Threads: 1, Ramp: c.Ramp, InFlight: c.InFlight, SrcAddrs: sources,
		Users: userPrefix, Secret: hexOf(s.secret), UpTimeout: 3*wanted + upLimit, StallAfter: quiet,
		ComeBack: true, Rooms: 1, Publishers: 1, Pipeline: 1, Chunks: 1, Memberships: 1,
		Settle: c.Settle, Duration: c.Hold, Broadcasts: c.Broadcasts,
	}
}

// leader does what is to be done at the borders. Owned by the goroutine that is
// at a border, one after the other.
type leader struct {
	s      *stack
	shares []bench.Options
	meter  *gauge

	nothing            kernelMemory // before anything was started
	empty              state        // before the first connection
	settled, held, end state
	began, draining    time.Time // of the ramp and the drain; zero: not come to
	ramp, drained      time.Duration
	broadcasts         int
}

// state is what everything takes at one moment.
type state struct {
	at            time.Time
	gateways      usage
	redis         usage
	kernel        kernelMemory
	largest       int64 // RSS of the largest gateway
	gatewaysKnown bool
}

// usage of one process or several.
type usage struct {
	rss int64
	pss int64 // what processes share is counted once; 0: not known
	cpu time.Duration
}

func (l *leader) border(ctx context.Context, border string) ([]int64, error) {
	switch border {
	case "connect":
		return nil, l.begin()
	case "connected":
		l.ramp = time.Since(l.began)
	case bench.AtSettled:
		return nil, l.look(&l.settled)
	case bench.AtHeld:
		return nil, l.look(&l.held)
	case bench.AtBroadcast:
		l.broadcasts++
		return nil, l.s.broadcast(ctx, l.broadcasts)
	case bench.AtSingle:
		return l.singles(ctx)
	}
	return nil, l.close(border)
}

func (l *leader) close(border string) error {
	if border == bench.AtDrain {
		return l.drain()
	}
	if border == "leave" && !l.draining.IsZero() {
		l.drained = time.Since(l.draining)
	}
	return nil
}

func (l *leader) begin() error {
	err := l.look(&l.empty)
	l.began = time.Now()
	return err
}

// look reads what everything takes.
func (l *leader) look(st *state) (err error) {
	st.at = time.Now()
	for i, m := range l.s.gateways {
		u, err := read(m.PID())
		if err != nil {
			return fmt.Errorf("%s: %w: %s", l.s.name(i), err, l.s.logTail(l.s.name(i)))
		}
		st.gateways.rss, st.gateways.pss, st.gateways.cpu = st.gateways.rss+u.rss, st.gateways.pss+u.pss, st.gateways.cpu+u.cpu
		st.largest = max(st.largest, u.rss)
	}
	if st.redis, err = read(l.s.redis.PID()); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	st.kernel, err = readKernel()
	st.gatewaysKnown = err == nil
	return err
}

func read(pid int) (u usage, err error) {
	if u.rss, err = proc.RSS(pid); err != nil {
		return u, err
	}
	u.pss, _ = proc.Proportional(pid) // not every kernel tells
	u.cpu, err = proc.CPU(pid)
	return u, err
}

// stride is a prime number: users that follow each other in turn are far apart.
const stride = 7919

// singles publishes to single users and returns how many of them each worker
// has.
func (l *leader) singles(ctx context.Context) ([]int64, error) {
	numbers := make([]int64, len(l.shares))
	for n := 1; n <= l.s.cfg.Singles; n++ {
		user := n * stride % l.s.cfg.Connections
		w := sort.Search(len(l.shares), func(i int) bool { return l.shares[i].Share.Begin > user }) - 1
		if err := l.s.single(ctx, n, user, w+1); err != nil {
			return nil, err
		}
		numbers[w]++
	}
	return numbers, nil
}

// drain ends the gateways, as an orchestrator would.
func (l *leader) drain() error {
	if err := l.look(&l.end); err != nil {
		return err
	}
	l.draining = time.Now()
	for _, m := range l.s.gateways {
		m.Signal(syscall.SIGTERM)
	}
	return nil
}
