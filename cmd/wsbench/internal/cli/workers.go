//go:build linux

package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/live"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/million"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/workers"
)

// sharing is how the scenarios that several processes can make share rooms out.
func sharing() map[string]workers.Rooms {
	return map[string]workers.Rooms{
		"idle": workers.Shared, "slow": workers.Shared,
		"publish": workers.Apart, "echo": workers.Apart, "storm": workers.Apart,
		"fanout": workers.Divided, "mixed": workers.Divided, "churn": workers.Divided, "soak": workers.Divided,
	}
}

func workersFlag(fs *flag.FlagSet, s *scenario, o *bench.Options) {
	if _, ok := sharing()[s.name]; ok {
		fs.IntVar(&o.Share.Workers, "workers", 1, "processes, each with its share of the connections and rates, source addresses of its own and, where it checks rooms, rooms of its own")
	}
}

// checkOptions finds what is wrong with the flags, of several processes with
// what each would get.
func checkOptions(s *scenario, o *bench.Options) error {
	if o.Share.Workers < 2 {
		return firstError(o.Check, func() error { return s.check(o) })
	}
	shares, err := workers.Split(o, o.Share.Workers, sharing()[s.name])
	if err != nil {
		return err
	}
	for i := range shares {
		if err := firstError(shares[i].Check, func() error { return s.check(&shares[i]) }); err != nil {
			return fmt.Errorf("worker %d of %d: %w", i+1, len(shares), err)
		}
	}
	return nil
}

// lead runs a scenario, in several processes if asked to.
func lead(ctx context.Context, s *scenario, o *bench.Options, res *report.Result, stderr io.Writer) error {
	if o.Share.Workers < 2 {
		return s.run(ctx, o, res)
	}
	shares, err := workers.Split(o, o.Share.Workers, sharing()[s.name])
	if err != nil {
		return err
	}
	for i := range shares {
		if err := s.check(&shares[i]); err != nil { // it fills in what depends on others
			return err
		}
	}
	merged, err := workers.Run(ctx, &workers.Plan{Self: o.Self, Scenario: s.name, Shares: shares, Progress: o.Progress, Stderr: stderr})
	if merged != nil {
		res.Take(merged)
	}
	return err
}

// worker serves as one of several processes of a run.
func worker(_ []string, stdin io.Reader, stdout io.Writer, stderr *os.File) int {
	self, err := os.Executable()
	if err != nil {
		return code(err, stderr)
	}
	return code(workers.Serve(self, stdin, stdout, find), stderr)
}

// find looks up what a worker may be asked for.
func find(name string) workers.Scenario {
	if name == million.Scenario {
		return bench.Hold
	}
	for _, s := range scenarios() {
		if s.name == name {
			return s.run
		}
	}
	return nil
}

// runMillion starts a whole fleet and measures it.
func runMillion(args []string, _ io.Reader, stdout io.Writer, stderr *os.File) int {
	cfg := &million.Config{Stderr: stderr}
	var out output
	fs := millionFlags(cfg, &out)
	fs.SetOutput(stderr)
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return OK
	case err != nil:
		return Usage
	case fs.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "wsbench million: unexpected argument %q\n", fs.Arg(0))
		return Usage
	}
	if err := firstError(cfg.Check, out.try); err != nil {
		_, _ = fmt.Fprintln(stderr, "wsbench million:", err)
		return Usage
	}
	self, err := os.Executable()
	if err != nil {
		return code(err, stderr)
	}
	cfg.Self, cfg.Progress = self, report.NewProgress(live.New("million", stderr))
	res := report.New("million", parameters(fs))
	err = interruptible(func(ctx context.Context) error { return million.Run(ctx, cfg, res) })
	return conclude(res, cfg.Progress, err, &out, stdout, stderr)
}

// conclude writes the report of a run that ended with err and returns the exit
// code.
func conclude(res *report.Result, p *report.Progress, err error, out *output, stdout, stderr io.Writer) int {
	res.Seconds = time.Since(res.Started).Seconds()
	p.Done()
	res.Series = p.Series()
	switch {
	case errors.Is(err, bench.ErrInterrupted):
		res.Interrupted = true
	case err != nil:
		res.Check(false, "the run could be done", "%v", err)
	}
	if err := out.write(res, stdout, stderr); err != nil {
		return code(err, stderr)
	}
	if !res.OK() {
		return Failed
	}
	return OK
}

func millionFlags(cfg *million.Config, out *output) *flag.FlagSet {
	fs := flag.NewFlagSet("million", flag.ContinueOnError)
	fs.IntVar(&cfg.Connections, "n", 1_000_000, "connections, each of a user of its own with a signed token")
	fs.IntVar(&cfg.PerProcess, "per-process", 0, "connections of one gateway, and of one worker; 0: as many as descriptors allow, at most 20000")
	fs.IntVar(&cfg.Ramp, "ramp", 5000, "new connections per second, all together")
	fs.IntVar(&cfg.InFlight, "inflight", 1000, "handshakes under way at most, all together")
	fs.DurationVar(&cfg.Settle, "settle", 30*time.Second, "after the ramp, wait before memory is read for")
	fs.DurationVar(&cfg.Hold, "hold", 3*time.Minute, "hold the connections for")
	fs.IntVar(&cfg.Broadcasts, "broadcasts", 3, "publications to everyone, one after the other")
	fs.IntVar(&cfg.Singles, "singles", 2000, "publications to one user each, through another gateway than the user's")
	fs.StringVar(&cfg.Gateway, "gateway", "bin/gateway", "the gateway's program")
	fs.StringVar(&cfg.Redis, "redis-server", "redis-server", "Redis' program")
	fs.BoolVar(&cfg.Force, "force", false, "begin although the free memory may not suffice")
	fs.Func("env", "NAME=value: a setting of the gateways, such as GC_PERCENT=50; may be given several times", func(v string) error {
		if !strings.Contains(v, "=") {
			return errors.New("want NAME=value")
		}
		cfg.Env = append(cfg.Env, v)
		return nil
	})
	out.flags(fs)
	fs.Usage = func() {
		_, _ = fmt.Fprint(fs.Output(), "wsbench million: a Redis, gateways and workers on this machine, as many as the connections need\n\n")
		fs.PrintDefaults()
	}
	return fs
}
