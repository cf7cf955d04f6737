//go:build linux

package million

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/proc"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// Config says what to start and do.
type Config struct {
	Connections int
	PerProcess  int // connections of one gateway, and of one worker
	Ramp        int // new connections per second, all together
	InFlight    int // handshakes under way at most, all together
	Settle      time.Duration
	Hold        time.Duration
	Broadcasts  int
	Singles     int // publications to one user each

	Gateway string   // the gateway's program
	Redis   string   // redis-server
	Env     []string // NAME=value for the gateways beside their own
	Force   bool     // begin although memory may not suffice

	Self     string // this program
	Progress *report.Progress
	Stderr   io.Writer
}

// What the memory of a run is reckoned from. Measured, and rounded up.
const (
	perConnection = 17 << 10 // gateway, both sockets in the kernel, client, Redis
	perPair       = 60 << 20 // a gateway and a worker without connections
	spare         = 512 << 20
)

// bound is the descriptors that a gateway keeps for other things than clients.
const bound = 256

// Check finds what is wrong with the settings. Its errors are the user's.
func (c *Config) Check() error {
	limit, err := proc.Descriptors()
	if err != nil {
		return err
	}
	if c.PerProcess == 0 {
		c.PerProcess = min(limit-2*bound, 20_000)
	}
	switch {
	case c.Connections < 1 || c.Connections > 10_000_000:
		return fmt.Errorf("-n %d: want 1 to 10000000", c.Connections)
	case c.PerProcess < 1 || c.PerProcess > limit-bound:
		return fmt.Errorf("-per-process %d: want 1 to %d, since a process may open %d descriptors", c.PerProcess, limit-bound, limit)
	case c.processes() > maxGateways:
		return fmt.Errorf("-n %d with -per-process %d needs %d gateways, more than %d", c.Connections, c.PerProcess, c.processes(), maxGateways)
	}
	return c.checkRest()
}

func (c *Config) checkRest() error {
	if c.Broadcasts < 0 || c.Broadcasts > bench.MaxBroadcasts {
		return fmt.Errorf("-broadcasts %d: want 0 to %d", c.Broadcasts, bench.MaxBroadcasts)
	}
	if min(c.Ramp, c.InFlight, c.Singles+1) < 1 || min(c.Settle, c.Hold) < 0 {
		return errors.New("-ramp and -inflight must be at least 1, and no number negative")
	}
	for _, e := range c.Env {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" {
			return fmt.Errorf("-env %q: want NAME=value", e)
		}
	}
	return nil
}

// processes is how many gateways, and how many workers, there are.
func (c *Config) processes() int { return (c.Connections + c.PerProcess - 1) / c.PerProcess }

// drainRate is how many connections per second some cores can let go, with all
// that has to be written about it.
const drainRate = 1500

// drainWindow is what the gateways, which all drain at once, get for it.
func (c *Config) drainWindow() time.Duration {
	return max(20*time.Second, time.Duration(c.Connections/drainRate)*time.Second)
}

// need is the memory that a run takes.
func (c *Config) need() int64 {
	return int64(c.Connections)*perConnection + int64(c.processes())*perPair + spare
}

// fits is how many connections the free memory suffices for.
func (c *Config) fits(free int64) int {
	n := (free - spare) / (perConnection + perPair/int64(c.PerProcess))
	return int(max(n, 0))
}

// enough compares what is needed with what is free.
func (c *Config) enough() error {
	free, err := freeMemory()
	if err != nil {
		return err
	}
	if need := c.need(); need > free && !c.Force {
		return fmt.Errorf("%d connections need about %.1f GiB of memory and %.1f are free: -n %d fits; -force begins all the same",
			c.Connections, gib(need), gib(free), c.fits(free)/1000*1000)
	}
	return c.enoughFiles()
}

// enoughFiles compares both ends of all connections with what the machine may
// have open.
func (c *Config) enoughFiles() error {
	limit, err := number("/proc/sys/fs/file-max")
	if err != nil {
		return fmt.Errorf("open files of the machine: %w", err)
	}
	if need := 2*int64(c.Connections) + int64(c.processes())*bound; need > limit && !c.Force {
		return fmt.Errorf("%d connections need %d open files and fs.file-max is %d", c.Connections, need, limit)
	}
	return nil
}

func gib(n int64) float64 { return float64(n) / (1 << 30) }
