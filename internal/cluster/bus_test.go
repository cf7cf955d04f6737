package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// hall is a Carrier that loses and repeats messages on demand, which Redis does
// not.
type hall struct {
	mu     sync.Mutex
	rooms  map[string][]*Bus              // guarded by mu
	copies func(room, payload string) int // guarded by mu; nil: one
	fail   func(room string) error        // guarded by mu; nil: none
	sent   map[string]int                 // guarded by mu; messages by room
	refuse atomic.Int64                   // so many subscriptions fail
}

// seat is a hall as one bus sees it.
type seat struct {
	*hall
	bus *Bus
}

func (s *seat) Subscribe(_ context.Context, room string) error {
	if s.refuse.Add(-1) >= 0 {
		return errors.New("not yet")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rooms[room] = append(s.rooms[room], s.bus)
	return nil
}

func (s *seat) Notify(_ context.Context, room string, payload []byte) error {
	s.mu.Lock()
	s.sent[room]++
	copies := 1
	if s.copies != nil {
		copies = s.copies(room, string(payload))
	}
	to := slices.Clone(s.rooms[room])
	var err error
	if s.fail != nil {
		err = s.fail(room)
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	for range copies {
		for _, b := range to {
			b.Notice(room, payload)
		}
	}
	return nil
}

func (h *hall) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// meeting is some instances that know each other, without Redis.
func meeting(t *testing.T, ids ...string) (*hall, []*Bus) {
	t.Helper()
	h := &hall{rooms: map[string][]*Bus{}, sent: map[string]int{}}
	var all []*Bus
	for _, id := range ids {
		r, err := New(settings(id), nil, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		r.UseLoad(func() Load { return Load{Capacity: 1} })
		s := &seat{hall: h}
		s.bus = NewBus(r, s, zap.NewNop())
		all = append(all, s.bus)
	}
	for _, b := range all {
		v := &view{peers: map[string]peer{}}
		for _, o := range all {
			if o != b {
				self := o.registry.Self()
				v.peers[self.Incarnation] = peer{self, time.Now().Add(time.Hour)}
			}
		}
		b.registry.view.Store(v)
	}
	return h, all
}

func start(t *testing.T, all []*Bus) (stop func()) {
	t.Helper()
	for _, b := range all {
		b.Start()
		b.Start() // does nothing
	}
	synctest.Wait()
	return func() {
		for _, b := range all {
			b.Shutdown()
		}
	}
}

// heard are the replies' names and data, sorted.
func heard(a Answers) string {
	var out []string
	for _, r := range a.Replies {
		word := r.Instance + "=" + string(r.Data)
		if r.Err != nil {
			word = r.Instance + "!" + r.Err.Error()
		}
		out = append(out, word)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// echo answers with the question and the instance's name.
func echo(all []*Bus) (calls *atomic.Int64) {
	calls = new(atomic.Int64)
	for _, b := range all {
		b.Handle("echo", func(_ context.Context, payload []byte) []byte {
			calls.Add(1)
			return append([]byte(b.registry.cfg.ID+":"), payload...)
		})
	}
	return calls
}

func TestAQuestionIsAnsweredByEveryOtherInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := meeting(t, "a", "b", "c")
		calls := echo(all)
		defer start(t, all)()
		begun := time.Now()
		got, err := all[0].Ask(t.Context(), "echo", []byte("x"))
		if err != nil || heard(got) != "b=b:x c=c:x" || len(got.Missing) != 0 || time.Since(begun) != 0 {
			t.Errorf("%s, missing %v, %v, after %v", heard(got), got.Missing, err, time.Since(begun))
		}
		if calls.Load() != 2 {
			t.Errorf("%d calls", calls.Load())
		}
	})
}

func TestWithoutOthersNobodyIsAsked(t *testing.T) {
	b := NewBus(alone(t, Load{}), nil, zap.NewNop())
	b.Start()
	defer b.Shutdown()
	if got, err := b.Ask(t.Context(), "echo", nil); err != nil || len(got.Replies)+len(got.Missing) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := b.Tell(t.Context(), "echo", nil); err != nil {
		t.Error(err)
	}
}

func TestAnInstanceThatDoesNotAnswerIsMissingInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, all := meeting(t, "a", "b", "c", "d")
		calls := echo(all)
		defer start(t, all)()
		deaf, gone := all[2].registry.Incarnation(), all[3].registry.Incarnation()
		h.change(func() {
			h.rooms[fleetRoom], h.rooms[roomOf(deaf)], h.rooms[roomOf(gone)] = all[:2], nil, nil
		})
		time.AfterFunc(500*time.Millisecond, func() { // d leaves meanwhile
			v := &view{peers: map[string]peer{}}
			for incarnation, p := range all[0].registry.view.Load().peers {
				if incarnation != gone {
					v.peers[incarnation] = p
				}
			}
			all[0].registry.view.Store(v)
		})
		begun := time.Now()
		got, err := all[0].Ask(t.Context(), "echo", []byte("x"))
		if err != nil || heard(got) != "b=b:x" || !slices.Equal(got.Missing, []string{"c"}) || time.Since(begun) != answerTime {
			t.Errorf("%s, missing %v, %v, after %v", heard(got), got.Missing, err, time.Since(begun))
		}
		if h.sent[roomOf(deaf)] != 1 || calls.Load() != 1 {
			t.Errorf("asked again %d times, %d calls", h.sent[roomOf(deaf)], calls.Load())
		}
		if s := all[0].Stats(); s.Asked != 1 || s.Missing != 1 || s.Repeated != 2 {
			t.Errorf("%+v", s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if got, err := all[0].Ask(ctx, "echo", nil); err != nil || !slices.Contains(got.Missing, "c") {
			t.Errorf("with a context that ends: %+v, %v", got, err)
		}
	})
}

func TestALostQuestionAndALostAnswerAreRepeatedAndWorkedOnOnce(t *testing.T) {
	for _, lost := range []string{typeAsk, typeAnswer} {
		synctest.Test(t, func(t *testing.T) {
			h, all := meeting(t, "a", "b")
			calls := echo(all)
			defer start(t, all)()
			once := true
			h.copies = func(_, payload string) int {
				if once && strings.Contains(payload, `"t":"`+lost+`"`) {
					once = false
					return 0
				}
				if lost == typeAnswer && strings.Contains(payload, `"t":"`+typeAsk+`"`) {
					return 1 // a second question would bring a second answer at once
				}
				return 2
			}
			begun := time.Now()
			got, err := all[0].Ask(t.Context(), "echo", []byte("x"))
			if err != nil || heard(got) != "b=b:x" || time.Since(begun) != repeatTime {
				t.Errorf("%s, missing %v, %v, after %v", heard(got), got.Missing, err, time.Since(begun))
			}
			synctest.Wait()
			if calls.Load() != 1 {
				t.Errorf("a lost %s: worked on %d times", lost, calls.Load())
			}
		})
	}
}

func TestASlowAnswerIsNotWorkedOnTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := meeting(t, "a", "b")
		calls := 0
		all[1].Handle("slow", func(ctx context.Context, _ []byte) []byte {
			calls++
			sleep(ctx, 400*time.Millisecond)
			return []byte("done")
		})
		defer start(t, all)()
		got, err := all[0].Ask(t.Context(), "slow", nil)
		if err != nil || heard(got) != "b=done" || calls != 1 {
			t.Errorf("%s, %v, %d calls", heard(got), err, calls)
		}
	})
}

func TestWhatCannotBeAnsweredIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, all := meeting(t, "a", "b")
		all[1].Handle("much", func(context.Context, []byte) []byte { return make([]byte, maxPayload+1) })
		all[1].Handle("nothing", func(context.Context, []byte) []byte { return nil })
		defer start(t, all)()
		for kind, want := range map[string]error{"much": ErrTooLarge, "other": ErrUnknownKind, "nothing": nil} {
			got, err := all[0].Ask(t.Context(), kind, nil)
			if err != nil || len(got.Replies) != 1 || !errors.Is(got.Replies[0].Err, want) {
				t.Errorf("%s: %+v, %v", kind, got, err)
			}
		}
		var told *wire.Error
		if _, err := all[0].Ask(t.Context(), "much", make([]byte, maxPayload+1)); !errors.As(err, &told) || told.Code != wire.TooLarge {
			t.Errorf("too much to ask: %v", err)
		}
		if err := all[0].Tell(t.Context(), "much", make([]byte, maxPayload+1)); !errors.As(err, &told) || told.Code != wire.TooLarge {
			t.Errorf("too much to tell: %v", err)
		}
		h.change(func() { h.fail = func(string) error { return errors.New("dial tcp: refused") } })
		got, err := all[0].Ask(t.Context(), "nothing", nil)
		if !errors.As(err, &told) || told.Code != wire.Unavailable || !slices.Equal(got.Missing, []string{"b"}) {
			t.Errorf("while the carrier is away: %+v, %v", got, err)
		}
		if err := all[0].Tell(t.Context(), "nothing", nil); !errors.As(err, &told) || told.Code != wire.Unavailable {
			t.Errorf("while the carrier is away: %v", err)
		}
		all[0].asks = map[uint64]chan envelope{}
		for id := range uint64(maxAsks) {
			all[0].asks[id+1000] = nil
		}
		if _, err := all[0].Ask(t.Context(), "nothing", nil); !errors.As(err, &told) || told.Code != wire.Unavailable {
			t.Errorf("while too many ask: %v", err)
		}
	})
}

func TestWhatIsToldReachesAllOthersAndListeningIsTriedUntilItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, all := meeting(t, "a", "b", "c")
		var told atomic.Int64
		for _, b := range all {
			b.Handle("news", func(context.Context, []byte) []byte { told.Add(1); return nil })
		}
		h.refuse.Store(9)
		defer start(t, all)()
		time.Sleep(10 * time.Second)
		if err := all[0].Tell(t.Context(), "news", nil); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if told.Load() != 2 {
			t.Errorf("told %d times", told.Load())
		}
	})
}

func TestWhatIsToldToOneReachesNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, all := meeting(t, "a", "b", "c")
		var told [3]atomic.Int64
		for i, b := range all {
			b.Handle("news", func(_ context.Context, payload []byte) []byte { told[i].Add(int64(len(payload))); return nil })
		}
		defer start(t, all)()
		synctest.Wait()
		if err := all[0].TellOne(t.Context(), all[2].Address(), "news", []byte("four")); err != nil {
			t.Error(err)
		}
		if err := all[0].TellOne(t.Context(), "nobody", "news", []byte("four")); err != nil {
			t.Errorf("nobody is missed: %v", err)
		}
		synctest.Wait()
		if told[0].Load() != 0 || told[1].Load() != 0 || told[2].Load() != 4 {
			t.Errorf("told %d, %d and %d bytes", told[0].Load(), told[1].Load(), told[2].Load())
		}
		if err := all[0].TellOne(t.Context(), all[2].Address(), "news", make([]byte, maxPayload+1)); !wire.IsCode(err, wire.TooLarge) {
			t.Errorf("too much: %v", err)
		}
		h.change(func() { h.fail = func(string) error { return errors.New("dial tcp: refused") } })
		if err := all[0].TellOne(t.Context(), all[2].Address(), "news", nil); !wire.IsCode(err, wire.Unavailable) {
			t.Errorf("while nobody can be told: %v", err)
		}
	})
	if err := NewBus(&Registry{}, nil, nil).TellOne(t.Context(), "a", "news", nil); err != nil {
		t.Errorf("without others: %v", err)
	}
}

func TestNonsenseIsCountedAndDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := meeting(t, "a")
		b := all[0]
		for range maxWaiting + 2 {
			b.Notice(fleetRoom, []byte(`nonsense`)) // nobody reads yet
		}
		if s := b.Stats(); s.Dropped != 2 {
			t.Errorf("%+v", s)
		}
		defer start(t, all)()
		for _, payload := range []string{
			`{}`, `[]`, `{"v":1,"t":"answer","id":7,"from":"x"}`, `{"v":9,"t":"ask","from":"x"}`, `{"v":1,"t":"?","from":"x"}`,
			`{"v":1,"t":"ask","from":"` + b.registry.Incarnation() + `"}`,
		} {
			b.Notice(fleetRoom, []byte(payload))
		}
		synctest.Wait()
		if s := b.Stats(); s.Unreadable != maxWaiting+3 || s.Late != 1 || s.Handled != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestQuestionsAreForgottenByNumberAndBytes(t *testing.T) {
	w := newWindow()
	for id := range uint64(windowSize + 10) {
		w.enter(question{"x", id})
		w.keep(question{"x", id}, []byte("y"))
	}
	if len(w.answers) != windowSize || w.bytes != windowSize {
		t.Errorf("%d questions, %d bytes", len(w.answers), w.bytes)
	}
	if _, first := w.enter(question{"x", windowSize}); first {
		t.Error("a recent question is new")
	}
	w.keep(question{"x", 3}, []byte("late")) // forgotten
	if w.bytes != windowSize {
		t.Errorf("%d bytes", w.bytes)
	}
	for id := range uint64(20) {
		w.enter(question{"y", id})
		w.keep(question{"y", id}, make([]byte, 1<<20))
	}
	if w.bytes > windowBytes || len(w.order) != len(w.answers) {
		t.Errorf("%d bytes, %d and %d questions", w.bytes, len(w.order), len(w.answers))
	}
}

func FuzzMessagesOfInstances(f *testing.F) {
	f.Add([]byte(`{"v":1,"t":"ask","id":1,"from":"x","kind":"echo","data":"eA=="}`))
	f.Add([]byte(`{"v":1,"t":"answer","id":1,"from":"x","fault":"too_large"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := New(settings("a"), nil, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		h := &hall{rooms: map[string][]*Bus{}, sent: map[string]int{}}
		s := &seat{hall: h}
		b := NewBus(r, s, zap.NewNop())
		b.Handle("echo", func(_ context.Context, p []byte) []byte { return p })
		b.read(payload)
		select {
		case e := <-b.work:
			b.serve(t.Context(), e)
			if e.Type == typeTell && len(h.sent) > 0 {
				t.Error("news are answered")
			}
		default:
		}
		var e envelope
		if json.Unmarshal(payload, &e) == nil {
			e.reply()
		}
	})
}

// TestAnInstanceIsKnownAtOnceAndAsksOverRedis is registry and bus together, as
// they are in a process.
func TestAnInstanceIsKnownAtOnceAndAsksOverRedis(t *testing.T) {
	server := redistest.Single(t)
	cfg := server.Config()
	cfg.Prefix = "fleet:"
	run := func(id string) (*Registry, *Bus) {
		slow := settings(id)
		slow.TTL = time.Minute
		m := redistest.NewManager(t, cfg)
		r, err := New(slow, m, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		r.UseLoad(func() Load { return Load{Capacity: 10} })
		c := newChannels(t, server, "fleet:")
		b := NewBus(r, c, zap.NewNop())
		c.to.Store(b)
		b.Handle("echo", func(_ context.Context, p []byte) []byte { return append([]byte(id+":"), p...) })
		m.Start()
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { Runner(r, b, NewBalancer(r, nil, zap.NewNop()))(ctx) })
		t.Cleanup(func() { cancel(); running.Wait() })
		return r, b
	}
	_, a := run("a")
	until(t, "a is served", func() bool { return a.registry.Stats().Beats > 0 })
	r, b := run("b")
	until(t, "they know each other without waiting for a heartbeat", func() bool {
		return len(a.registry.View()) == 2 && len(r.View()) == 2
	})
	until(t, "b asks a", func() bool {
		got, err := b.Ask(t.Context(), "echo", []byte("x"))
		return err == nil && heard(got) == "a=a:x"
	})
	begun := time.Now()
	for range 200 {
		if got, err := a.Ask(t.Context(), "echo", []byte("y")); err != nil || heard(got) != "b=b:y" {
			t.Fatalf("%s, %v", heard(got), err)
		}
	}
	t.Logf("a question and its answer take %v", time.Since(begun)/200)
}
