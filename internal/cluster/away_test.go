package cluster

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestAnInstanceThatMayStillLiveIsMissingAfterAnOutage(t *testing.T) {
	s := redistest.Single(t)
	redis := s.Config()
	redis.Prefix = "fleet:"
	m := redistest.NewManager(t, redis)
	a, err := New(settings("a"), m, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	bus := NewBus(a, newChannels(t, s, "bus:"), zap.NewNop())
	m.Start()
	a.Start()
	defer func() { _ = a.Shutdown(context.Background()) }() // Redis may be away
	b := join(t, redis, settings("b"))
	until(t, "they know each other", func() bool { return len(a.Others()) == 1 && b.sees("a", "b") })
	s.Kill()
	b.crash()
	until(t, "b's time is over", func() bool { return len(a.Others()) == 0 })
	if answers, err := bus.Ask(t.Context(), "any", nil); err == nil || !slices.Equal(answers.Missing, []string{"b"}) {
		t.Errorf("without Redis: %+v, %v", answers, err)
	}
	s.Restart()
	until(t, "others can be asked", func() bool {
		answers, err := bus.Ask(t.Context(), "any", nil)
		if err == nil && !slices.Equal(answers.Missing, []string{"b"}) {
			t.Errorf("with Redis again: %+v", answers)
		}
		return err == nil
	})
	until(t, "b has gone", func() bool { return len(a.Unheard()) == 0 })
	if answers, err := bus.Ask(t.Context(), "any", nil); err != nil || len(answers.Missing) != 0 {
		t.Errorf("when b has gone: %+v, %v", answers, err)
	}
}

func TestNobodyIsHandedOffWhileRedisIsAway(t *testing.T) {
	s := redistest.Single(t)
	redis, cfg := s.Config(), settings("a")
	redis.Prefix = "fleet:"
	cfg.TTL = time.Minute // b stays in the view
	cfg.Rebalance.Rate = 1
	a := join(t, redis, cfg)
	a.load.Store(&Load{Connections: 200, Capacity: 1000})
	cfg.ID = "b"
	b := join(t, redis, cfg)
	b.load.Store(&Load{Capacity: 1000})
	until(t, "a sees b empty", func() bool {
		b.Beat()
		a.Beat()
		others := a.Others()
		return len(others) == 1 && others[0].Connections == 0
	})
	told := 0
	l := NewBalancer(a.Registry, func(_ context.Context, n int, _ time.Duration) int { told += n; return n }, zap.NewNop())
	until(t, "with Redis some are handed off", func() bool {
		l.step(t.Context())
		return told > 0
	})
	s.Kill()
	a.Beat()
	until(t, "a's heartbeat fails", func() bool { return a.Stats().Failures > 0 })
	told = 0
	for range 2 * beginLooks {
		l.step(t.Context())
	}
	if told > 0 {
		t.Errorf("%d are sent where they find no room", told)
	}
}
