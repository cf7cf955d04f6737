package brokertest_test

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/brokertest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// faultEnv names the fault of the broker that a child process tests.
const faultEnv = "BROKERTEST_FAULT"

// faulty is a sound broker with one fault planted.
type faulty struct {
	broker.Broker
	fault string
	sink  broker.Sink

	mu    sync.Mutex
	count int                    // guarded by mu
	live  map[string]bool        // guarded by mu
	pages map[string]broker.Page // guarded by mu
}

// faults says which part of the suite finds which fault.
var faults = map[string][]string{
	"delivers twice":               {"delivery", "no hole", "no silent hole"},
	"drops a delivery":             {"delivery", "no hole", "no silent hole"},
	"delivers backwards":           {"delivery", "no hole"},
	"delivers concurrently":        {"delivery"},
	"loses a field":                {"publish"},
	"forgets the time":             {"publish"},
	"gives positions everywhere":   {"publish"},
	"hides epoch changes":          {"publish"},
	"ignores nonces":               {"nonces"},
	"ignores keys":                 {"keys"},
	"shares keys among publishers": {"keys"},
	"hides conflicts":              {"keys"},
	"keeps too much":               {"history", "resume"},
	"keeps too long":               {"history", "resume"},
	"ignores the limit":            {"history"},
	"limits at the wrong end":      {"history"},
	"reads a stale top":            {"history", "no hole"},
	"resumes across epochs":        {"resume"},
	"resumes past the nonce":       {"resume"},
	"resumes past the trim":        {"resume", "no silent hole"},
	"resumes ahead":                {"resume"},
	"refuses the top":              {"resume", "no hole"},
	"subscribes late":              {"delivery"},
	"never waits":                  {"delivery"},
	"returns context errors":       {"contexts"},
}

func TestTheSuiteFindsFaults(t *testing.T) {
	for fault, parts := range faults {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			for _, part := range parts {
				pattern := "^TestAFaultyBroker$/^" + strings.ReplaceAll(part, " ", "_") + "$"
				child := exec.Command(os.Args[0], "-test.run", pattern, "-test.timeout", "60s")
				child.Env = append(os.Environ(), faultEnv+"="+fault)
				out, err := child.CombinedOutput()
				if err == nil || !strings.Contains(string(out), "--- FAIL: TestAFaultyBroker/") {
					t.Errorf("%q did not find it: %v\n%s", part, err, out)
				}
			}
		})
	}
}

// TestAFaultyBroker runs in a child process, and must fail there.
func TestAFaultyBroker(t *testing.T) {
	fault := os.Getenv(faultEnv)
	if fault == "" {
		t.Skip("runs with a fault only")
	}
	brokertest.Run(t, brokertest.Harness{
		Bubble: true,
		Open: func(t *testing.T, s brokertest.Settings) func(broker.Sink) broker.Broker {
			return func(sink broker.Sink) broker.Broker {
				f := &faulty{fault: fault, sink: sink, live: map[string]bool{}, pages: map[string]broker.Page{}}
				if fault == "never waits" {
					s.HandoffBytes = math.MaxInt
				}
				f.Broker = open(t, s, f)
				return f
			}
		},
	})
}

func (f *faulty) Publish(ctx context.Context, p broker.Publication) (wire.Position, error) {
	switch f.fault {
	case "ignores nonces":
		p.Position.Nonce = 0
	case "ignores keys":
		p.IdempotencyKey = ""
	case "shares keys among publishers":
		p.Publisher = "anybody"
	case "keeps too much":
		p.Retention.Size *= 2
	case "keeps too long":
		p.Retention.Age *= 2
	}
	pos, err := f.Broker.Publish(ctx, p)
	switch {
	case f.fault == "hides conflicts" && wire.IsCode(err, wire.Conflict):
		return wire.Position{}, nil
	case f.fault == "gives positions everywhere" && pos.IsZero():
		return wire.Position{Epoch: 1, Offset: 1}, err
	}
	return pos, f.raw(ctx, err)
}

func (f *faulty) raw(ctx context.Context, err error) error {
	if f.fault == "returns context errors" && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (f *faulty) Subscribe(ctx context.Context, room string) error {
	if f.fault == "subscribes late" {
		go func() {
			time.Sleep(time.Millisecond)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.live[room] = true
		}()
	}
	return f.raw(ctx, f.Broker.Subscribe(ctx, room))
}

func (f *faulty) History(ctx context.Context, room string, since wire.Position, limit int) (broker.Page, error) {
	asked := limit
	if strings.Contains(f.fault, "limit") {
		limit = broker.NoLimit
	}
	page, err := f.Broker.History(ctx, room, since, limit)
	switch f.fault {
	case "limits at the wrong end":
		if n := len(page.Publications); asked >= 0 && n > asked {
			page.Publications = page.Publications[n-asked:]
		}
	case "reads a stale top":
		f.mu.Lock()
		defer f.mu.Unlock()
		old, ok := f.pages[room]
		f.pages[room] = page
		if ok && page.Top.Epoch == old.Top.Epoch {
			page.Top = old.Top
		}
	case "refuses the top":
		if since == page.Top {
			return broker.Page{Top: page.Top}, &broker.InsufficientStateError{Reason: "trimmed"}
		}
	}
	var refused *broker.InsufficientStateError
	if errors.As(err, &refused) && f.forgives(refused.Reason) {
		return f.after(ctx, room, since.Offset, limit)
	}
	return page, f.raw(ctx, err)
}

// forgives tells whether the fault is to honour what was refused.
func (f *faulty) forgives(reason string) bool {
	return map[string]string{
		"resumes across epochs":  "epoch_changed",
		"resumes past the nonce": "entry_changed",
		"resumes past the trim":  "trimmed",
		"resumes ahead":          "ahead",
	}[f.fault] == reason
}

// after reads what is there behind an offset.
func (f *faulty) after(ctx context.Context, room string, offset uint64, limit int) (broker.Page, error) {
	page, err := f.Broker.History(ctx, room, wire.Position{}, limit)
	page.Publications = slices.DeleteFunc(page.Publications, func(p *wire.Publication) bool {
		return p.Position.Offset <= offset
	})
	return page, err
}

// nth is true at every n-th call.
func (f *faulty) nth(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	return f.count%n == 0
}

func (f *faulty) Deliver(room string, pubs []*wire.Publication) {
	pubs = slices.Clone(pubs)
	switch f.fault {
	case "delivers twice":
		if f.nth(9) {
			f.sink.Deliver(room, pubs)
		}
	case "drops a delivery":
		if f.nth(9) {
			return
		}
	case "delivers backwards":
		slices.Reverse(pubs)
	case "delivers concurrently":
		go f.sink.Deliver(room, pubs)
		return
	case "loses a field", "forgets the time":
		for i, p := range pubs {
			q := *p
			if q.NoEcho = false; f.fault == "forgets the time" {
				q.NoEcho, q.Time = p.NoEcho, 0
			}
			pubs[i] = &q
		}
	case "subscribes late":
		f.mu.Lock()
		live := f.live[room]
		f.mu.Unlock()
		if !live {
			return
		}
	}
	f.sink.Deliver(room, pubs)
}

func (f *faulty) Gap(room string, gap wire.Gap) {
	if f.fault != "hides epoch changes" {
		f.sink.Gap(room, gap)
	}
}
