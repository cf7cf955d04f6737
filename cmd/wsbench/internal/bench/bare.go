//go:build linux

package bench

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/proc"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// bareServer is the writev server as a child process.
type bareServer struct {
	child *proc.Child
	sent  atomic.Uint64
}

// bareRun runs the same members against the writev server.
func bareRun(ctx context.Context, o *Options, res *report.Result) (*report.Run, error) {
	child, addr, err := proc.Start(o.Self, "writev-server", "-size", strconv.Itoa(o.Size), "-batch", strconv.Itoa(o.Batch),
		"-rate", strconv.FormatFloat(o.Rate, 'g', -1, 64))
	if err != nil {
		return nil, err
	}
	defer func() { _ = child.Stop() }()
	bare := *o
	bare.URL, bare.PID = "ws://"+addr+"/ws", child.PID()
	bare.RoomPrefix, bare.Rooms, bare.Publishers, bare.Window, bare.Rate = "bench-", 1, 1, 4096, 0
	run := res.Run(o.Baseline)
	b := &bareServer{child: child}
	return run, fanoutRun(ctx, &fanout{opts: &bare, server: b}, res, run)
}

// begin lets the server write.
func (b *bareServer) begin() error { return b.child.Tell("go") }

// end stops the writing and learns how much there was.
func (b *bareServer) end() error {
	if err := b.child.Tell("stop"); err != nil {
		return err
	}
	line := b.child.Line()
	n, err := strconv.ParseUint(line, 10, 64)
	if err != nil {
		return fmt.Errorf("the writev server said %q instead of a number", line)
	}
	b.sent.Store(n)
	return nil
}
