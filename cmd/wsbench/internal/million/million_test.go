//go:build linux

package million

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/proc"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/workers"
)

// gateway is the program that TestMain has built.
var gateway string

// TestMain lets the test's own executable be a worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == workers.Command {
		err := workers.Serve(os.Args[0], os.Stdin, os.Stdout, func(string) workers.Scenario { return bench.Hold })
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	dir, err := os.MkdirTemp("", "million-test-")
	if err != nil {
		panic(err)
	}
	gateway = filepath.Join(dir, "gateway")
	out, err := exec.Command("go", "build", "-o", gateway, "github.com/moonx-farm/ws-gateway/cmd/gateway").CombinedOutput()
	if err != nil {
		panic(string(out))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(exit int) {
		_ = os.RemoveAll(dir)
		os.Exit(exit)
	}))
}

// small is a run of a few connections with real gateways and a real Redis.
func small(t *testing.T) *Config {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	cfg := &Config{
		Connections: 100, PerProcess: 40, Ramp: 1000, InFlight: 50, Settle: 100 * time.Millisecond, Hold: 200 * time.Millisecond,
		Broadcasts: 2, Singles: 20, Gateway: gateway, Redis: "redis-server", Env: []string{"DRAIN_WINDOW=1s"},
		Self: os.Args[0], Progress: report.NewProgress(nil), Stderr: os.Stderr,
	}
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// nothingStays fails if a process or a file of a run is left.
func nothingStays(t *testing.T, cfg *Config) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "wsbench-million-*"))
	if err != nil || len(left) > 0 {
		t.Error(left, err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		if program, err := os.Readlink(p); err == nil && program == cfg.Gateway {
			t.Errorf("%s still runs", p)
		}
	}
}

func TestAFleetHoldsBroadcastsAndDrains(t *testing.T) {
	cfg := small(t)
	res := report.New("million", nil)
	if err := Run(t.Context(), cfg, res); err != nil || !res.OK() || len(res.Checks) != 4 {
		t.Fatalf("%v: %+v", err, res.Checks)
	}
	run := res.Runs[0]
	for name, want := range map[string]float64{
		"connections": 100, "gateways": 3, "workers": 3, "let go with 1012": 100, "messages to single users": 20, "lost while held": 0,
	} {
		if got := run.Value(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{
		"RSS of all gateways", "RSS of the largest gateway", "RSS of redis", "CPU of all gateways while held", "ramp", "drain",
		"a broadcast reached everyone within",
	} {
		if run.Value(name) <= 0 {
			t.Errorf("%s: %v", name, run.Value(name))
		}
	}
	if run.Latencies[0].Count != 200 {
		t.Errorf("%+v", run.Latencies[0])
	}
	nothingStays(t, cfg)
}

func TestAnInterruptedFleetLeavesNothing(t *testing.T) {
	cfg := small(t)
	cfg.Hold = time.Hour
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	cfg.Progress = report.NewProgress(view(func(s report.Status) {
		if s.Phase == "hold" {
			cancel(bench.ErrInterrupted)
		}
	}))
	res := report.New("million", nil)
	if err := Run(ctx, cfg, res); !errors.Is(err, bench.ErrInterrupted) || !res.Interrupted || res.Runs[0].Value("connections") != 100 {
		t.Errorf("%v: %+v", err, res)
	}
	nothingStays(t, cfg)
}

// view is told what goes on.
type view func(report.Status)

func (v view) Show(s report.Status) { v(s) }
func (view) Done()                  {}

func TestAGatewayThatDoesNotStartIsToldWithItsLog(t *testing.T) {
	cfg := small(t)
	cfg.Env = append(cfg.Env, "SEND_QUEUE_BYTES=much")
	err := Run(t.Context(), cfg, report.New("million", nil))
	if err == nil || !strings.Contains(err.Error(), "gateway-1 ended") || !strings.Contains(err.Error(), "SEND_QUEUE_BYTES") {
		t.Error(err)
	}
	nothingStays(t, cfg)
}

func TestAProgramThatIsNotThereLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	cfg := &Config{Connections: 1, PerProcess: 1, Ramp: 1, InFlight: 1, Redis: "/nowhere/redis", Progress: report.NewProgress(nil)}
	if err := Run(t.Context(), cfg, report.New("million", nil)); err == nil || !strings.Contains(err.Error(), "/nowhere/redis") {
		t.Error(err)
	}
	nothingStays(t, cfg)
}

func TestWhatDoesNotFitIsRefusedAndSaysWhatDoes(t *testing.T) {
	cfg := &Config{Connections: 5_000_000, PerProcess: 19_700, Ramp: 1, InFlight: 1}
	free, err := freeMemory()
	if err != nil || free <= 0 {
		t.Fatal(free, err)
	}
	fits := cfg.fits(8 << 30)
	if fits < 300_000 || fits > 600_000 || cfg.fits(1<<20) != 0 {
		t.Error(fits)
	}
	cfg.Connections = fits
	if need := cfg.need(); need < 7<<30 || need > 9<<30 {
		t.Error(need)
	}
	cfg.Connections = 1 << 40
	if err := cfg.enough(); err == nil || !strings.Contains(err.Error(), "fits") {
		t.Error(err)
	}
	cfg.Force = true
	if err := cfg.enough(); err != nil {
		t.Error(err)
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	good := Config{Connections: 100, Ramp: 1, InFlight: 1}
	if err := good.Check(); err != nil || good.PerProcess < 1 {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"-n 0":         func(c *Config) { c.Connections = 0 },
		"-per-process": func(c *Config) { c.PerProcess = 1 << 40 },
		"gateways":     func(c *Config) { c.Connections, c.PerProcess = 1000, 1 },
		"-ramp":        func(c *Config) { c.Ramp = 0 },
		"-env":         func(c *Config) { c.Env = []string{"=x"} },
	} {
		c := good
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestMemoryOfTheKernelIsRead(t *testing.T) {
	const sockstat = "sockets: used 61\nTCP: inuse 27 orphan 0 tw 1 alloc 29 mem 3\nUDP: inuse 1 mem 7\n"
	if n := tcpPages([]byte(sockstat)); n != 3 {
		t.Error(n)
	}
	if n := tcpPages([]byte("TCP:\nnothing")); n != 0 {
		t.Error(n)
	}
	k, err := readKernel()
	if err != nil || k.slab <= 0 || k.tables <= 0 {
		t.Errorf("%+v %v", k, err)
	}
}

func TestAddressesOfGatewaysAreDifferentLoopbackOnes(t *testing.T) {
	seen := map[string]bool{redisHost: true}
	for i := range maxGateways {
		host := gatewayHost(i)
		ip := net.ParseIP(host)
		if seen[host] || ip == nil || !ip.IsLoopback() {
			t.Error(i, host)
		}
		seen[host] = true
	}
	if limit, err := proc.Descriptors(); err != nil || limit <= bound {
		t.Error(limit, err)
	}
}
