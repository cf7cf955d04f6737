//go:build linux

package bench

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/standin"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// against returns options for the stand-in, which it starts.
func against(t *testing.T, s *standin.Server) *Options {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	o := &Options{
		URL: "ws" + strings.TrimPrefix(srv.URL, "http") + "/ws", Conns: 20, Threads: 2, Ramp: 10000, InFlight: 16, SrcAddrs: 3,
		Users: "u-", RoomPrefix: "r-", Rooms: 1, Publishers: 1, Memberships: 1, Pipeline: 1, Chunks: 7, Subscribers: 1, Acks: Both, UpTimeout: 10 * time.Second, Size: 100,
		Warmup: 50 * time.Millisecond, Duration: 300 * time.Millisecond, StallAfter: 5 * time.Second, Window: 16,
		Settle: 50 * time.Millisecond, DrainWait: 10 * time.Second, Progress: report.NewProgress(nil),
	}
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	return o
}

type scenarioFunc func(context.Context, *Options, *report.Result) error

func run(t *testing.T, f scenarioFunc, o *Options) (*report.Result, error) {
	t.Helper()
	res := report.New(t.Name(), nil)
	err := f(t.Context(), o, res)
	return res, err
}

func mustHold(t *testing.T, f scenarioFunc, o *Options) *report.Run {
	t.Helper()
	res, err := run(t, f, o)
	if err != nil || !res.OK() {
		t.Fatalf("%v; %+v", err, res.Checks)
	}
	return res.Runs[0]
}

func TestScenariosHoldAgainstACorrectServer(t *testing.T) {
	tests := map[string]struct {
		f      scenarioFunc
		change func(o *Options)
		count  string // a figure that must not be zero
	}{
		"fanout, closed loop":              {Fanout, func(*Options) {}, "deliveries/s"},
		"fanout, one thread":               {Fanout, func(o *Options) { o.Threads = 1 }, "deliveries/s"},
		"fanout, rooms and publishers":     {Fanout, func(o *Options) { o.Rooms, o.Publishers = 3, 2 }, "deliveries/s"},
		"fanout, at a rate":                {Fanout, func(o *Options) { o.Rate = 200; o.Window = 0 }, "deliveries/s"},
		"fanout, messages beyond a buffer": {Fanout, func(o *Options) { o.Size, o.Conns, o.Threads = 30_000, 2, 1 }, "deliveries/s"},
		"echo, closed loop":                {Echo, func(o *Options) { o.Pipeline = 3 }, "replies/s"},
		"echo, at a rate":                  {Echo, func(o *Options) { o.Rate = 500 }, "replies/s"},
		"echo, publish":                    {Echo, func(o *Options) { o.Mode = "publish" }, "replies/s"},
		"slow":                             {Slow, func(*Options) {}, "answered once"},
		"slow, byte by byte":               {Slow, func(o *Options) { o.Chunks = 120 }, "answered once"},
		"idle":                             {Idle, func(o *Options) { o.RoomSize = 5 }, "connections"},
		"echo, by a route":                 {Echo, func(o *Options) { o.Mode, o.Event = EchoRoute, standin.Routed }, "replies/s"},
		"fanout, rooms that share members": {Fanout, func(o *Options) { o.Rooms, o.Memberships = 5, 3 }, "deliveries/s"},
		"publish, closed loop":             {Publish, func(o *Options) { o.Pipeline = 8 }, "acknowledged/s"},
		"publish, at a rate":               {Publish, func(o *Options) { o.Rate, o.Subscribers = 500, 3 }, "acknowledged/s"},
		"publish, without acknowledgement": {Publish, func(o *Options) { o.Acks, o.Outside = Unacked, true }, "deliveries/s"},
		"publish, a group that is smaller": {Publish, func(o *Options) { o.Conns, o.Threads, o.Subscribers = 9, 1, 3 }, "acknowledged/s"},
		"mixed":                            {Mixed, func(o *Options) { o.Rooms, o.Memberships, o.Rate = 7, 3, 500 }, "acknowledged/s"},
		"mixed, one thread":                {Mixed, func(o *Options) { o.Rooms, o.Memberships, o.Rate, o.Threads = 20, 20, 200, 1 }, "acknowledged/s"},
		"churn":                            {Mixed, churning, "connections that went and came back"},
		"churn, rooms":                     {Mixed, churning, "rooms left and joined again"},
	}
	for name, tt := range tests {
		for _, protocol := range []string{Plain, SocketIO} {
			t.Run(name+", "+protocol, func(t *testing.T) {
				t.Parallel()
				o := against(t, &standin.Server{})
				o.Protocol = protocol
				tt.change(o)
				if r := mustHold(t, tt.f, o); r.Value(tt.count) == 0 {
					t.Errorf("no %s: %+v", tt.count, r.Figures)
				}
			})
		}
	}
}

func churning(o *Options) {
	o.Rooms, o.Memberships, o.Rate, o.Moving, o.ChurnRate, o.HopRate = 4, 2, 200, 8, 40, 40
}

func TestFanoutFindsInjectedFaults(t *testing.T) {
	const victim = "u-000007"
	tests := map[string]struct {
		fault  func(user string, n int) int
		figure string
		failed string
	}{
		"one delivery lost":    {func(u string, n int) int { return once(u == victim && n == 10, 0) }, "lost", "every message once"},
		"the first lost":       {func(u string, n int) int { return once(u == victim && n == 1, 0) }, "lost", "every message once"},
		"one delivery doubled": {func(u string, n int) int { return once(u == victim && n == 10, 2) }, "duplicated", "every message once"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := against(t, &standin.Server{Fault: tt.fault})
			o.StallAfter = time.Second // the closed loop waits for the one that is lost
			res, err := run(t, Fanout, o)
			_ = err // a lost message may also stall the closed loop: that is said, too
			if got := res.Runs[0].Value(tt.figure); got != 1 {
				t.Errorf("%s = %v, want 1 (%v); %+v", tt.figure, got, err, res.Checks)
			}
			if res.OK() || !failing(res, tt.failed) {
				t.Errorf("checks: %+v", res.Checks)
			}
		})
	}
}

func once(hit bool, times int) int {
	if hit {
		return times
	}
	return 1
}

func failing(res *report.Result, name string) bool {
	for _, c := range res.Checks {
		if !c.OK && strings.Contains(c.Name, name) {
			return true
		}
	}
	return false
}

func TestDrainIsJudged(t *testing.T) {
	for name, polite := range map[string]bool{"with reconnect": true, "without reconnect": false} {
		t.Run(name, func(t *testing.T) {
			s := &standin.Server{Drainable: true}
			o := against(t, s)
			o.RoomSize, o.PublishRate, o.Settle = 5, 500, 0
			done := make(chan struct{})
			go func() {
				defer close(done)
				untilPublished(s, 100) // the drain is long awaited by then
				s.Drain(t.Context(), 300*time.Millisecond, polite)
			}()
			res, err := run(t, Drain, o)
			<-done
			if err != nil || res.OK() != polite || failing(res, "reconnect") == polite {
				t.Errorf("%v: %+v", err, res.Checks)
			}
			if r := res.Runs[0]; r.Value("closed with 1012") != 20 || r.Value("publications acknowledged") == 0 {
				t.Errorf("%+v", r.Figures)
			}
		})
	}
}

func TestDisconnectsAreFound(t *testing.T) {
	s := &standin.Server{Drainable: true}
	o := against(t, s)
	o.Settle = time.Second
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(400 * time.Millisecond)
		s.Drain(t.Context(), 0, true)
	}()
	res, err := run(t, Idle, o)
	<-done
	if err != nil || !failing(res, "no disconnects") || !strings.Contains(res.Checks[0].Detail, "20 ended") {
		t.Errorf("%v %+v", err, res.Checks)
	}
}

func TestConnectionsThatAreToComeBackLaterDoIfWanted(t *testing.T) {
	var first sync.Map
	s := &standin.Server{Drainable: true, PutOff: func(user string) bool {
		_, again := first.LoadOrStore(user, true)
		return !again
	}}
	o := against(t, s)
	if _, err := run(t, Hold, o); err == nil || !strings.Contains(err.Error(), "1013") {
		t.Errorf("not wanted: %v", err)
	}
	first.Clear()
	o.ComeBack, o.Broadcasts = true, 0
	o.Share.Barrier = drainer{t, s}
	res, err := run(t, Hold, o)
	if err != nil || !res.OK() {
		t.Fatalf("%v %+v", err, res.Checks)
	}
	if n := res.Runs[0].Value("asked to come back later while connecting"); n != float64(o.Conns) {
		t.Errorf("%v of %d came back", n, o.Conns)
	}
}

// drainer lets a run go on at every border, and drains the server at that of the
// drain.
type drainer struct {
	t *testing.T
	s *standin.Server
}

func (d drainer) Arrive(border string) <-chan int64 {
	if border == AtDrain {
		d.s.Drain(d.t.Context(), 0, true)
	}
	passed := make(chan int64, 1)
	passed <- 0
	return passed
}

func TestInterruptedRunsReportWhatTheyHave(t *testing.T) {
	o := against(t, &standin.Server{})
	o.Duration = time.Minute
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := time.AfterFunc(500*time.Millisecond, func() { cancel(ErrInterrupted) })
	defer stop.Stop()
	res := report.New("x", nil)
	if err := Fanout(ctx, o, res); err == nil || err.Error() != "interrupted" {
		t.Error(err)
	}
	if r := res.Runs[0]; r.Value("deliveries/s") == 0 || r.Value("lost") != 0 || !res.OK() {
		t.Errorf("%+v %+v", r.Figures, res.Checks)
	}
}

func TestRefusedConnectionsAreExplained(t *testing.T) {
	srv := httptest.NewServer(nil) // 404
	t.Cleanup(srv.Close)
	o := against(t, &standin.Server{})
	o.URL = "ws" + strings.TrimPrefix(srv.URL, "http") + "/ws"
	if _, err := run(t, Idle, o); err == nil || !strings.Contains(err.Error(), "404") {
		t.Error(err)
	}
	srv.Close()
	if _, err := run(t, Idle, o); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	tests := map[string]func(o *Options){
		"allow-remote":  func(o *Options) { o.URL = "ws://192.0.2.1/ws" },
		"want ws://":    func(o *Options) { o.URL = "http://127.0.0.1/" },
		"bad port":      func(o *Options) { o.URL = "ws://127.0.0.1:99999/" },
		"descriptors":   func(o *Options) { o.Conns = 1 << 30 },
		"-threads 3":    func(o *Options) { o.Conns, o.Threads = 2, 3 },
		"-ramp must":    func(o *Options) { o.Ramp = 0 },
		"connections":   func(o *Options) { o.Rooms = 21 },
		"250":           func(o *Options) { o.SrcAddrs = 251 },
		"a negative nu": func(o *Options) { o.Rate = -1 },
	}
	for want, change := range tests {
		o := &Options{URL: "ws://127.0.0.1:1/ws", Conns: 20, Threads: 1, Ramp: 1, InFlight: 1, SrcAddrs: 1, Rooms: 1, Publishers: 1, Pipeline: 1, Chunks: 1}
		change(o)
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestPacerKeepsItsSchedule(t *testing.T) {
	p := newPacer(1000, 3)
	var got []string
	for range 4 {
		got = append(got, fmt.Sprint(p.next()))
		p.n++
	}
	if strings.Join(got, " ") != "1000 333334333 666667666 1000001000" {
		t.Error(got)
	}
}

// untilPublished waits for so many publications: by the first all are up.
func untilPublished(s *standin.Server, n int64) {
	for deadline := time.Now().Add(time.Minute); s.Published() < n && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
}

func TestStormJudgesHowClientsComeBack(t *testing.T) {
	server := &standin.Server{Drainable: true}
	o := against(t, server)
	o.RoomSize, o.PublishRate, o.Watch, o.Jitter = 5, 500, time.Second, 10*time.Millisecond
	done := make(chan struct{})
	go func() {
		defer close(done)
		untilPublished(server, 1)
		server.Kick(t.Context())
	}()
	r := mustHold(t, Storm, o)
	<-done
	if r.Value("came back") != 20 || r.Value("publications acknowledged") == 0 || r.Value("received") == 0 {
		t.Errorf("%+v", r.Figures)
	}
}

func TestStormFindsWhatIsLost(t *testing.T) {
	server := &standin.Server{Drainable: true, Fault: func(u string, n int) int { return once(u == "u-000007" && n == 10, 0) }}
	o := against(t, server)
	o.RoomSize, o.PublishRate, o.Watch = 5, 500, 300*time.Millisecond
	res, err := run(t, Storm, o)
	if err != nil || !failing(res, "nothing is lost") {
		t.Errorf("%v; %+v", err, res.Checks)
	}
}

func TestEveryScenarioFindsInjectedFaults(t *testing.T) {
	scenarios := map[string]struct {
		f      scenarioFunc
		change func(o *Options)
	}{
		"publish, acknowledged":   {Publish, func(o *Options) { o.Acks, o.Rate = Acked, 500 }},
		"publish, unacknowledged": {Publish, func(o *Options) { o.Acks, o.Rate = Unacked, 500 }},
		"mixed":                   {Mixed, func(o *Options) { o.Rooms, o.Memberships, o.Rate = 5, 3, 500 }},
		"churn":                   {Mixed, churning},
	}
	for name, tt := range scenarios {
		for figure, times := range map[string]int{"lost": 0, "duplicated": 2} {
			t.Run(name+", "+figure, func(t *testing.T) {
				t.Parallel()
				// A subscriber in publish; in the others neither a publisher nor one that comes and goes.
				const victim = "u-000007"
				o := against(t, &standin.Server{Fault: func(u string, n int) int { return once(u == victim && n == 4, times) }})
				tt.change(o)
				o.Threads = 1
				res, err := run(t, tt.f, o)
				if got := res.Runs[0].Value(figure); err != nil || got != 1 {
					t.Errorf("%s = %v, want 1 (%v); %+v", figure, got, err, res.Checks)
				}
				if !failing(res, "every message once") {
					t.Errorf("checks: %+v", res.Checks)
				}
			})
		}
	}
}

func TestASoakFindsALeak(t *testing.T) {
	for name, perLook := range map[string]int64{"steady": 0, "growing": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			o := against(t, &standin.Server{})
			o.Rooms, o.Memberships, o.Rate = 5, 2, 200
			m := newMixed(o)
			o.Metrics = "http://127.0.0.1:1/" // is not asked: look is ours
			n := int64(0)
			m.look = func() (v vitals, err error) {
				n++
				v.heap.Live, v.heap.Goroutines, v.heap.Forced = 20<<20+n*perLook, 100, true
				return v, nil
			}
			res := report.New("soak", nil)
			run := res.Run("gateway")
			o2 := *o
			o2.Metrics = ""
			m.opts = &o2
			if err := mixedRun(t.Context(), m, res, run); err != nil {
				t.Fatal(err)
			}
			m.opts = o
			m.leaks(res, run)
			if leaks := failing(res, "live heap: no growth"); leaks != (perLook > 0) || failing(res, "goroutines") {
				t.Errorf("%+v", res.Checks)
			}
		})
	}
}

func TestCredentialsAreTakenInTurn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("one\n\n two\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := &Options{TokenFile: file}
	if err := o.readTokens(); err != nil {
		t.Fatal(err)
	}
	if got := string(o.token(nil, 0)) + " " + string(o.token(nil, 1)) + " " + string(o.token(nil, 2)); got != "one two one" {
		t.Error(got)
	}
	for want, content := range map[string]string{"has none": "\n", "line 2": "fine\nnot a token\n"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (&Options{TokenFile: file}).readTokens(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestSocketIOGoesToItsOwnPath(t *testing.T) {
	for raw, want := range map[string]string{
		"ws://127.0.0.1:1/ws":       "GET /socket.io/?EIO=4&transport=websocket ",
		"ws://127.0.0.1:1":          "GET /socket.io/?EIO=4&transport=websocket ",
		"ws://127.0.0.1:1/a/b/?c=d": "GET /a/b/?EIO=4&transport=websocket ",
	} {
		o := &Options{URL: raw, Protocol: SocketIO}
		targets, err := o.targets()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(targets[0].Opening.AppendRequest(nil, nil)); !strings.HasPrefix(got, want) || strings.Contains(got, "Protocol:") {
			t.Errorf("%s: %s", raw, got)
		}
	}
}

func TestAnswersAreWantedOnceAndInOrder(t *testing.T) {
	var a asks
	first, second := a.next(5), a.next(5)
	if first != 5 || second != 6 || a.open() != 2 {
		t.Fatal(first, second, a)
	}
	if !a.answer(6) || a.answer(5) || a.answer(6) || a.answer(7) || a.wrong() != 1 {
		t.Errorf("%+v", a)
	}
	var b asks
	for range 3 {
		b.next(0)
	}
	if b.answer(1) && b.answer(2) && b.answer(3) && b.wrong() != 0 {
		t.Errorf("%+v", b)
	}
}

func TestRoomsThatShareMembersAreCounted(t *testing.T) {
	m := newMixed(&Options{Conns: 11, Rooms: 4, Memberships: 3, RoomPrefix: "r-"})
	a := &mixedApp{run: m, cl: &client{f: &fleet{opts: m.opts}}}
	count := make([]int, 4)
	for i := range int32(11) {
		for k := range 3 {
			room, ok := m.roomNumber([]byte(m.room(i, k)))
			if got := a.membership(&engine.Conn{Index: i}, room); !ok || got != k {
				t.Errorf("connection %d, membership %d: room %d, found as %d", i, k, room, got)
			}
			count[room]++
		}
		if a.membership(&engine.Conn{Index: i}, (int(i)+3)%4) != -1 {
			t.Errorf("connection %d is in every room", i)
		}
	}
	for room, n := range count {
		if got := m.members(int32(room)); got != n {
			t.Errorf("room %d: %d members, counted %d", room, got, n)
		}
	}
	if _, ok := m.roomNumber([]byte("r-4")); ok {
		t.Error("a room that there is not")
	}
}
