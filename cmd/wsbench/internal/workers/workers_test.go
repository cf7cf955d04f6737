//go:build linux

package workers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/standin"
)

// TestMain lets the test's own executable be a worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		if err := Serve(os.Args[0], os.Stdin, os.Stdout, find); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func find(name string) Scenario {
	return map[string]Scenario{
		"idle": bench.Idle, "fanout": bench.Fanout, "mixed": bench.Mixed, "publish": bench.Publish, "echo": bench.Echo,
		"numbers": numbers, "lone fault": loneFault, "death": death,
	}[name]
}

// numbers passes two borders and reports the sum of what they gave.
func numbers(_ context.Context, o *bench.Options, res *report.Result) error {
	a, b := <-o.Share.Barrier.Arrive("a"), <-o.Share.Barrier.Arrive("b")
	run := res.Run("gateway")
	run.Add("sum", float64(a+b), "")
	return nil
}

// loneFault fails in the second worker alone, while the others wait for it.
func loneFault(_ context.Context, o *bench.Options, res *report.Result) error {
	if o.Share.Worker == 1 {
		return errors.New("out of luck")
	}
	<-o.Share.Barrier.Arrive("never")
	res.Run("gateway").Add("waited", 1, "")
	return bench.ErrInterrupted
}

// death ends the process of the second worker.
func death(ctx context.Context, o *bench.Options, _ *report.Result) error {
	if o.Share.Worker == 1 {
		os.Exit(3)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func against(t *testing.T) *bench.Options {
	t.Helper()
	srv := httptest.NewServer(&standin.Server{})
	t.Cleanup(srv.Close)
	return &bench.Options{
		URL: "ws" + strings.TrimPrefix(srv.URL, "http") + "/ws", Conns: 32, Threads: 1, Ramp: 10000, InFlight: 64, SrcAddrs: 2,
		Users: "u-", RoomPrefix: "r-", Rooms: 1, Publishers: 1, Memberships: 1, Pipeline: 1, Chunks: 1, Subscribers: 1, Acks: bench.Acked,
		Mode: bench.EchoPing, UpTimeout: 30 * time.Second, Size: 100, Warmup: 50 * time.Millisecond, Duration: 300 * time.Millisecond,
		StallAfter: 20 * time.Second, Window: 16, Settle: 50 * time.Millisecond,
	}
}

func lead(t *testing.T, ctx context.Context, scenario string, o *bench.Options, rooms Rooms, change func(*Plan)) (*report.Result, error) {
	t.Helper()
	return leadSo(t, ctx, scenario, o, 3, rooms, change)
}

// leadSo leads so many workers.
func leadSo(t *testing.T, ctx context.Context, scenario string, o *bench.Options, n int, rooms Rooms, change func(*Plan)) (*report.Result, error) {
	t.Helper()
	shares, err := Split(o, n, rooms)
	if err != nil {
		t.Fatal(err)
	}
	p := &Plan{Self: os.Args[0], Scenario: scenario, Shares: shares, Progress: report.NewProgress(nil), Stderr: os.Stderr}
	if change != nil {
		change(p)
	}
	return Run(ctx, p)
}

func TestWorkersMakeOneResult(t *testing.T) {
	tests := map[string]struct {
		scenario, count string
		rooms           Rooms
		change          func(o *bench.Options)
		conns           string // the figure that adds up to all of them; "" if there is none
	}{
		"idle":                {"idle", "connections", Shared, func(*bench.Options) {}, "connections"},
		"fanout, at a rate":   {"fanout", "deliveries/s", Divided, func(o *bench.Options) { o.Rooms, o.Rate = 3, 100 }, "members"},
		"publish":             {"publish", "acknowledged/s", Apart, func(*bench.Options) {}, ""},
		"mixed, rooms shared": {"mixed", "deliveries/s", Divided, func(o *bench.Options) { o.Rooms, o.Memberships, o.Rate = 9, 2, 100 }, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := against(t)
			test.change(o)
			res, err := lead(t, t.Context(), test.scenario, o, test.rooms, nil)
			if err != nil || !res.OK() || len(res.Runs) != 1 {
				t.Fatalf("%v: %+v", err, res)
			}
			run := res.Runs[0]
			if run.Value(test.count) == 0 || test.conns != "" && run.Value(test.conns) != 32 {
				t.Errorf("%+v", run.Figures)
			}
		})
	}
}

// More workers than cores look up less often, and gather what is to be done.
func TestManyWorkersMakeOneResult(t *testing.T) {
	o := against(t)
	res, err := leadSo(t, t.Context(), "echo", o, 10, Apart, nil)
	if err != nil || !res.OK() || res.Runs[0].Value("replies/s") == 0 {
		t.Errorf("%v: %+v", err, res)
	}
}

func TestABorderGivesEachWorkerItsNumberOnceAllHaveCome(t *testing.T) {
	var mu sync.Mutex
	var borders []string
	res, err := lead(t, t.Context(), "numbers", against(t), Shared, func(p *Plan) {
		p.AtBorder = func(_ context.Context, border string) ([]int64, error) {
			mu.Lock()
			defer mu.Unlock()
			borders = append(borders, border)
			if border == "a" {
				return []int64{1, 20, 300}, nil
			}
			return []int64{4000}, nil
		}
	})
	if err != nil || res.Runs[0].Value("sum") != 4321 || !slices.Equal(borders, []string{"a", "b"}) {
		t.Errorf("%v %+v %v", err, res, borders)
	}
}

func TestAFaultAtABorderEndsTheRun(t *testing.T) {
	fault := errors.New("the server is gone")
	res, err := lead(t, t.Context(), "numbers", against(t), Shared, func(p *Plan) {
		p.AtBorder = func(context.Context, string) ([]int64, error) { return nil, fault }
	})
	if !errors.Is(err, fault) || res == nil {
		t.Errorf("%v %+v", err, res)
	}
}

func TestAWorkerThatFailsEndsTheOthers(t *testing.T) {
	res, err := lead(t, t.Context(), "lone fault", against(t), Shared, nil)
	if err != nil || res.OK() || !res.Interrupted || res.Runs[0].Value("waited") != 2 {
		t.Fatalf("%v: %+v", err, res)
	}
	if c := res.Checks[0]; c.Name != notDone || !strings.Contains(c.Detail, "out of luck") {
		t.Errorf("%+v", res.Checks)
	}
}

func TestAWorkerThatDiesEndsTheOthers(t *testing.T) {
	_, err := lead(t, t.Context(), "death", against(t), Shared, nil)
	if err == nil || !strings.Contains(err.Error(), "worker 2 ended") {
		t.Error(err)
	}
}

// view is told what goes on.
type view func(report.Status)

func (v view) Show(s report.Status) { v(s) }
func (view) Done()                  {}

func TestAnInterruptedRunReportsWhatItHas(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	o := against(t)
	o.Settle = time.Hour
	res, err := lead(t, ctx, "idle", o, Shared, func(p *Plan) {
		p.Progress = report.NewProgress(view(func(s report.Status) {
			if s.Phase == "settle" {
				cancel(bench.ErrInterrupted)
			}
		}))
	})
	if !errors.Is(err, bench.ErrInterrupted) || res == nil || !res.Interrupted || res.Runs[0].Value("connections") != 32 {
		t.Errorf("%v %+v", err, res)
	}
}

func TestAServerThatRefusesFailsTheRun(t *testing.T) {
	o := against(t)
	o.URL = "ws://127.0.0.1:1/ws"
	res, err := lead(t, t.Context(), "idle", o, Shared, nil)
	if err != nil || res.OK() {
		t.Errorf("%v %+v", err, res)
	}
}

func TestSplitSharesEverythingOut(t *testing.T) {
	o := against(t)
	o.Conns, o.Rooms, o.Rate, o.Ramp, o.Moving = 32, 7, 320, 100, 5
	o.Metrics, o.AdminKey = "http://127.0.0.1/metrics", "key"
	shares, err := Split(o, 3, Divided)
	if err != nil {
		t.Fatal(err)
	}
	var conns, rooms, moving int
	var rate float64
	prefixes := map[string]bool{}
	for i, s := range shares {
		if s.Share.Begin != conns || s.Share.Sources != 2*i || s.Share.All != 32 || (s.AdminKey != "") != (i == 0) {
			t.Errorf("%d: %+v", i, s.Share)
		}
		conns, rooms, moving, rate = conns+s.Conns, rooms+s.Rooms, moving+s.Moving, rate+s.Rate
		prefixes[s.RoomPrefix] = true
	}
	if conns != 32 || rooms != 7 || moving != 5 || rate < 319.9 || rate > 320.1 || len(prefixes) != 3 {
		t.Error(conns, rooms, moving, rate, prefixes)
	}
	same, err := Split(o, 3, Shared)
	if err != nil || same[2].RoomPrefix != "r-" || same[2].Rooms != 7 {
		t.Errorf("%v %+v", err, same)
	}
}

func TestSplitRefusesWhatCannotBeShared(t *testing.T) {
	for want, change := range map[string]func(o *bench.Options){
		"-rooms must be": func(*bench.Options) {},
		"-baseline":      func(o *bench.Options) { o.Baseline = "writev" },
		"as many":        func(o *bench.Options) { o.Conns = 2 },
		"-src-addrs":     func(o *bench.Options) { o.Rooms, o.SrcAddrs = 3, MaxSources },
	} {
		o := against(t)
		change(o)
		if _, err := Split(o, 3, Divided); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestAWorkerWithoutAJobSaysSo(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "no job",
		`{"stop":true}`:                   "no job",
		`{"job":{"Scenario":"juggling"}}`: "juggling",
		`{"job":{"Scenario":"idle","Options":{"URL":"nowhere"}}}`: "nowhere",
	} {
		var out strings.Builder
		if err := Serve("", strings.NewReader(in), &out, find); err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%s: %v %s", in, err, out.String())
		}
	}
}

func TestWhatIsAskedPerMessageIsNotCountedTwice(t *testing.T) {
	part := func(perMessage float64) *report.Result {
		r := report.New("fanout", nil)
		r.Run("gateway").AddAs(report.Max, "server CPU per message", perMessage, "µs")
		return r
	}
	parts := []*report.Result{part(3), part(6)} // a third and a sixth of a message for each µs
	res, err := report.Merge(parts)
	if err != nil {
		t.Fatal(err)
	}
	perMessage(res, parts)
	if v := res.Runs[0].Value("server CPU per message"); v < 1.99 || v > 2.01 {
		t.Error(v)
	}
	if _, err := json.Marshal(res); err != nil {
		t.Error(err)
	}
}
