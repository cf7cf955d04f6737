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
	"syscall"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/baseline"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/standin"
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
	ctx := context.Background()
	switch name := args[0]; name {
	case "help", "-h", "-help", "--help":
		_, _ = io.WriteString(stdout, usage)
		return OK
	case "naive-server":
		return code(standin.Naive(ctx, stdin, stdout), stderr)
	case "auth-server":
		return authServer(ctx, args[1:], stdin, stdout, stderr)
	case "writev-server":
		return writev(ctx, args[1:], stdin, stdout, stderr)
	default:
		for _, s := range scenarios() {
			if s.name == name {
				return run(&s, args[1:], stdout, stderr)
			}
		}
		_, _ = fmt.Fprintf(stderr, "wsbench: no scenario %q\n\n%s", name, usage)
		return Usage
	}
}

func code(err error, stderr io.Writer) int {
	if err == nil {
		return OK
	}
	_, _ = fmt.Fprintln(stderr, "wsbench:", err)
	return Failed
}

func authServer(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("auth-server", flag.ContinueOnError)
	fs.SetOutput(stderr)
	delay := fs.Duration("delay", 20*time.Millisecond, "answer each verification after")
	if fs.Parse(args) != nil || *delay < 0 {
		return Usage
	}
	return code(standin.Auth(ctx, *delay, stdin, stdout), stderr)
}

func writev(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("writev-server", flag.ContinueOnError)
	fs.SetOutput(stderr)
	size := fs.Int("size", 100, "bytes of data per message")
	batch := fs.Int("batch", 32, "frames per writev")
	if fs.Parse(args) != nil || *size < 0 || *batch < 1 || *batch > 1024 {
		return Usage
	}
	return code(baseline.Perform(ctx, *size, *batch, stdin, stdout), stderr)
}

// run parses the flags of a scenario and leads it to its report.
func run(s *scenario, args []string, stdout io.Writer, stderr *os.File) int {
	o := &bench.Options{}
	jsonFile := ""
	fs := flags(s, o, &jsonFile)
	fs.SetOutput(stderr)
	if exit, ok := accept(s, o, fs, args, stderr); !ok {
		return exit
	}
	self, err := os.Executable()
	if err != nil {
		return code(err, stderr)
	}
	o.Self, o.Progress = self, report.NewProgress(stderr)
	res := report.New(s.name, parameters(fs))
	err = interruptible(func(ctx context.Context) error { return s.run(ctx, o, res) })
	res.Seconds = time.Since(res.Started).Seconds()
	o.Progress.Done()
	switch {
	case errors.Is(err, bench.ErrInterrupted):
		res.Interrupted = true
	case err != nil:
		res.Check(false, "the run could be done", "%v", err)
	}
	if err := write(res, jsonFile, stdout, stderr); err != nil {
		return code(err, stderr)
	}
	if !res.OK() {
		return Failed
	}
	return OK
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
	if err := firstError(o.Check, func() error { return s.check(o) }); err != nil {
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

// interruptible ends f's context on SIGINT or SIGTERM. A second signal kills.
func interruptible(f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
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

// write puts the table on stdout, and the JSON where -json says; with "-" that
// is stdout, and the table goes to stderr.
func write(res *report.Result, jsonFile string, stdout, stderr io.Writer) error {
	table := stdout
	switch jsonFile {
	case "":
	case "-":
		table = stderr
		if err := res.WriteJSON(stdout); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	default:
		f, err := os.Create(jsonFile) //nolint:gosec // the user's choice
		if err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
		if err := errors.Join(res.WriteJSON(f), f.Close()); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	return res.WriteTable(table)
}

func parameters(fs *flag.FlagSet) map[string]any {
	m := map[string]any{}
	fs.VisitAll(func(f *flag.Flag) {
		if f.Name == "admin-key" {
			return // a secret
		}
		if g, ok := f.Value.(flag.Getter); ok {
			m[f.Name] = g.Get()
			if d, ok := m[f.Name].(time.Duration); ok {
				m[f.Name] = d.String()
			}
		}
	})
	return m
}
