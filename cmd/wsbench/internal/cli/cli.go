//go:build linux

package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/live"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// The exit codes.
const (
	OK     = 0
	Failed = 1 // a check failed, or the run could not be done
	Usage  = 2 // bad flags
)

// Run runs wsbench with its arguments (without the program's name) and
// returns the exit code.
func Run(args []string, stdin io.Reader, stdout io.Writer, stderr *os.File) int {
	if len(args) == 0 {
		_, _ = io.WriteString(stderr, usage)
		return Usage
	}
	name, rest := args[0], args[1:]
	if slices.Contains([]string{"help", "-h", "-help", "--help"}, name) {
		_, _ = io.WriteString(stdout, usage)
		return OK
	}
	if c, ok := commands()[name]; ok {
		return c(rest, stdin, stdout, stderr)
	}
	for _, s := range scenarios() {
		if s.name == name {
			return run(&s, rest, stdout, stderr)
		}
	}
	_, _ = fmt.Fprintf(stderr, "wsbench: no scenario %q\n\n%s", name, usage)
	return Usage
}

func code(err error, stderr io.Writer) int {
	if err == nil {
		return OK
	}
	_, _ = fmt.Fprintln(stderr, "wsbench:", err)
	return Failed
}

// run parses the flags of a scenario and leads it to its report.
func run(s *scenario, args []string, stdout io.Writer, stderr *os.File) int {
	o := &bench.Options{}
	var out output
	fs := flags(s, o, &out)
	fs.SetOutput(stderr)
	if exit, ok := accept(s, o, fs, args, stderr); !ok {
		return exit
	}
	if err := out.try(); err != nil {
		_, _ = fmt.Fprintf(stderr, "wsbench %s: %v\n", s.name, err)
		return Usage
	}
	self, err := os.Executable()
	if err != nil {
		return code(err, stderr)
	}
	o.Self, o.Progress = self, report.NewProgress(live.New(s.name, stderr))
	res := report.New(s.name, parameters(fs))
	err = interruptible(func(ctx context.Context) error { return lead(ctx, s, o, res, stderr) })
	return conclude(res, o.Progress, err, &out, stdout, stderr)
}

// accept parses the flags and checks them; not ok ends the run with an exit
// code.
func accept(s *scenario, o *bench.Options, fs *flag.FlagSet, args []string, stderr io.Writer) (exit int, ok bool) {
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return OK, false
	case err != nil:
		return Usage, false
	case fs.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "wsbench %s: unexpected argument %q\n", s.name, fs.Arg(0))
		return Usage, false
	}
	if err := checkOptions(s, o); err != nil {
		_, _ = fmt.Fprintf(stderr, "wsbench %s: %v\n", s.name, err)
		return Usage, false
	}
	return OK, true
}

func firstError(checks ...func() error) error {
	for _, f := range checks {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// interruptible ends f's context on SIGINT, SIGTERM or SIGHUP. A second signal kills.
func interruptible(f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done, waiter := make(chan struct{}), make(chan struct{})
	go func() { // ends with done, waited for below
		defer close(waiter)
		select {
		case <-signals:
			cancel(bench.ErrInterrupted)
		case <-done:
		}
		signal.Stop(signals)
	}()
	err := f(ctx)
	close(done)
	<-waiter
	return err
}

func parameters(fs *flag.FlagSet) map[string]any {
	m := map[string]any{}
	fs.VisitAll(func(f *flag.Flag) {
		if f.Name == "admin-key" {
			return // a secret
		}
		if g, ok := f.Value.(flag.Getter); ok {
			m[f.Name] = g.Get()
			switch v := m[f.Name].(type) {
			case time.Duration:
				m[f.Name] = v.String()
			case string:
				m[f.Name] = withoutSecrets(v)
			}
		}
	})
	return m
}
