//go:build linux

package cli

import (
	"context"
	"flag"
	"io"
	"os"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/baseline"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/standin"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/workers"
)

// command is a subcommand that is no scenario. It returns the exit code.
type command func(args []string, stdin io.Reader, stdout io.Writer, stderr *os.File) int

func commands() map[string]command {
	return map[string]command{
		"report": htmlReport, "compare": compare, "million": runMillion, workers.Command: worker,
		"naive-server": naive, "auth-server": authServer, "upstream-server": upstream, "writev-server": writev,
	}
}

func naive(_ []string, stdin io.Reader, stdout io.Writer, stderr *os.File) int {
	return code(standin.Naive(context.Background(), stdin, stdout), stderr)
}

func authServer(args []string, stdin io.Reader, stdout io.Writer, stderr *os.File) int {
	fs := flag.NewFlagSet("auth-server", flag.ContinueOnError)
	fs.SetOutput(stderr)
	delay := fs.Duration("delay", 20*time.Millisecond, "answer each verification after")
	if fs.Parse(args) != nil || *delay < 0 {
		return Usage
	}
	return code(standin.Auth(context.Background(), *delay, stdin, stdout), stderr)
}

func upstream(args []string, stdin io.Reader, stdout io.Writer, stderr *os.File) int {
	fs := flag.NewFlagSet("upstream-server", flag.ContinueOnError)
	fs.SetOutput(stderr)
	listen := fs.String("listen", "127.0.0.1:0", "address to listen on")
	delay := fs.Duration("delay", 0, "answer each event after")
	if fs.Parse(args) != nil || *delay < 0 {
		return Usage
	}
	return code(standin.Upstream(context.Background(), *listen, *delay, stdin, stdout), stderr)
}

func writev(args []string, stdin io.Reader, stdout io.Writer, stderr *os.File) int {
	fs := flag.NewFlagSet("writev-server", flag.ContinueOnError)
	fs.SetOutput(stderr)
	size := fs.Int("size", 100, "bytes of data per message")
	batch := fs.Int("batch", 32, "frames per writev")
	rate := fs.Float64("rate", 0, "frames per second to each connection; 0: as they are taken")
	if fs.Parse(args) != nil || *size < 0 || *batch < 1 || *batch > 1024 || *rate < 0 {
		return Usage
	}
	return code(baseline.Perform(context.Background(), *size, *batch, *rate, stdin, stdout), stderr)
}
