package membroker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/brokertest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestQuiesceWaitsForTheCallsOfEverythingPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := brokertest.NewRecorder(t)
		b := start(t, Config{}, sink)
		if err := b.Quiesce(t.Context()); err != nil {
			t.Errorf("with nothing under way: %v", err)
		}
		goOn := sink.Stall("room")
		for range 3 * batchSize {
			say(t, b, "room", "1", kept)
		}
		say(t, b, "other", "1", kept)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Quiesce(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while the Sink stalls: %v", err)
		}
		result := make(chan error, 1)
		go func() { result <- b.Quiesce(context.Background()) }()
		synctest.Wait()
		select {
		case err := <-result:
			t.Fatalf("while the Sink stalls: %v", err)
		default:
		}
		goOn()
		if err := <-result; err != nil {
			t.Error(err)
		}
		if n := len(sink.Events("room")); n != 3*batchSize {
			t.Errorf("quiet after %d deliveries", n)
		}
		audit(t, b)
	})
}

func TestShutdownEndsWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := brokertest.NewRecorder(t)
		b := New(Config{HandoffBytes: 2000})
		b.Start(sink)
		goOn := sink.Stall("room")
		say(t, b, "room", "1", kept)
		synctest.Wait() // it is under delivery
		fillRoom(t, b, "room")
		published, quiesced := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := b.Publish(context.Background(), draft("room", "1", kept))
			published <- err
		}()
		go func() { quiesced <- b.Quiesce(context.Background()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while a call of the Sink is under way: %v", err)
		}
		if err := <-published; !wire.IsCode(err, wire.Unavailable) {
			t.Errorf("a publish that waited: %v", err)
		}
		if err := <-quiesced; !wire.IsCode(err, wire.Unavailable) {
			t.Errorf("a quiesce that waited: %v", err)
		}
		goOn()
		shutdown(t, b) // waits for the call
		if n := len(sink.Events("room")); n != 1 {
			t.Errorf("shut down after %d deliveries, want the one that was under way", n)
		}
	})
}

func TestAShutBrokerRefusesEverything(t *testing.T) {
	for name, started := range map[string]bool{"started": true, "never started": false} {
		t.Run(name, func(t *testing.T) {
			b := New(Config{})
			if started {
				b.Start(brokertest.NewRecorder(t))
			}
			shutdown(t, b)
			shutdown(t, b)
			b.Start(brokertest.NewRecorder(t)) // starts nothing: goleak would find it
			calls := publishers(b)
			calls["Subscribe"] = func(broker.Publication) error { return b.Subscribe(t.Context(), "room") }
			calls["History"] = func(broker.Publication) error {
				_, err := b.History(t.Context(), "room", wire.Position{}, 0)
				return err
			}
			for name, call := range calls {
				if err := call(draft("room", "1", kept)); !wire.IsCode(err, wire.Unavailable) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := b.Quiesce(t.Context()); err != nil {
				t.Errorf("quiesce with nothing under way: %v", err)
			}
			audit(t, b)
		})
	}
}

func TestWhatCannotBePublishedIsRefused(t *testing.T) {
	b := start(t, Config{}, brokertest.NewRecorder(t))
	long := draft("room", "1", kept)
	long.IdempotencyKey = strings.Repeat("k", maxKey+1)
	for name, publish := range publishers(b) {
		for what, p := range map[string]broker.Publication{"no room": draft("", "1", kept), "a long key": long} {
			if err := publish(p); !wire.IsCode(err, wire.InvalidMessage) {
				t.Errorf("%s with %s: %v", name, what, err)
			}
		}
		p := draft("room", name, kept)
		p.IdempotencyKey = strings.Repeat("k", maxKey)
		p.Publisher = name
		if err := publish(p); err != nil {
			t.Errorf("%s with the longest key: %v", name, err)
		}
	}
}

func TestANonceHas48Bits(t *testing.T) {
	b := start(t, Config{}, brokertest.NewRecorder(t))
	p := draft("room", "1", kept)
	p.Position.Nonce = 1<<60 | 5
	for range 2 {
		if pos, err := b.Publish(t.Context(), p); err != nil || pos.Nonce != 5 || pos.Offset != 1 {
			t.Errorf("position %v, %v", pos, err)
		}
	}
	p.Position.Nonce = 1 << 60
	if pos, err := b.Publish(t.Context(), p); err != nil || pos.Nonce == 0 || pos.Nonce > wire.Bits48 || pos.Offset != 2 {
		t.Errorf("position %v, %v", pos, err)
	}
}

func TestSettingsThatAreNotGivenHaveDefaults(t *testing.T) {
	want := Config{IdempotencyTTL: 5 * time.Minute, MemoryBytes: 1 << 30, HandoffBytes: 1 << 20, Batch: 64}
	for name, cfg := range map[string]Config{"zero": {}, "negative": {-1, -1, -1, -1}, "given": want} {
		if got := cfg.withDefaults(); got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if b := New(Config{}, WithWorkers(0)); b.workers != 1 {
		t.Errorf("%d workers", b.workers)
	}
}
