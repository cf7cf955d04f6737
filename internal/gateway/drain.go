package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/health"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	drainTick = 50 * time.Millisecond
	// holdTime bounds the wait for publishes under way and their delivery.
	holdTime = 6 * time.Second
	// closeTime is how long a client may take to answer the close frame unless
	// the configuration says otherwise; its transport cuts it then.
	closeTime = 5 * time.Second
	// closeSlack is for the transport's cut to happen and to be heard of.
	closeSlack = time.Second
	// drainPace is the spread per client: a few need no whole window.
	drainPace = 10 * time.Millisecond
	// rejoinSpread is over how long clients are asked to spread their
	// reconnects beyond the spread that the window itself gives.
	rejoinSpread = time.Second
)

// DrainTime is how long Drain may take: what a stop must be given at least.
func (c Config) DrainTime() time.Duration {
	return c.DrainDelay + holdTime + c.DrainWindow + c.goodbyeTime()
}

// goodbyeTime is how long the last clients may take to go.
func (c Config) goodbyeTime() time.Duration { return cmp.Or(c.CloseTimeout, closeTime) + closeSlack }

// errDraining is why a draining gateway is not ready.
const errDraining = health.Reason("draining")

// Ready returns why no new connection should come, nil if it may.
func (g *Gateway) Ready(context.Context) error {
	if g.draining.Load() {
		return errDraining
	}
	return nil
}

// Drain lets all clients go: it refuses new connections at once, those too whose
// credential is being verified, waits for DrainDelay, refuses publishes, has everything that was acknowledged queued on
// its receivers' connections, and then tells the clients to reconnect and
// closes them, spread evenly over DrainWindow. It returns when all have gone,
// or with ctx's error. Call it once.
func (g *Gateway) Drain(ctx context.Context) error {
	g.draining.Store(true)
	g.giveUp() // after it: who was given up is told why
	g.parts.Log.Info("draining", zap.Int("connections", g.parts.Hub.Count()),
		zap.Duration("delay", g.cfg.DrainDelay), zap.Duration("window", g.cfg.DrainWindow))
	if err := pause(ctx, g.cfg.DrainDelay); err != nil {
		return err
	}
	g.settle(ctx)
	if err := g.release(ctx); err != nil {
		return err
	}
	return g.empty(ctx)
}

// settle ends publishing. A drain that is late goes on all the same: clients
// resume what they have missed.
func (g *Gateway) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	if err := g.parts.Router.Hold(ctx); err != nil {
		g.parts.Log.Warn("drain: publishes are still under way", zap.Error(err))
	}
	if err := g.parts.Broker.Quiesce(ctx); err != nil {
		g.parts.Log.Warn("drain: deliveries are still under way", zap.Error(err))
	}
}

// release tells the clients to reconnect, in a random order, spread evenly over
// the window, or over less when they are few.
func (g *Gateway) release(ctx context.Context) error {
	all := g.parts.Hub.Sessions()
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] }) //nolint:gosec // no secret
	window := min(g.cfg.DrainWindow, time.Duration(len(all))*drainPace)
	turns := int(window/drainTick) + 1
	told := 0
	for turn := 1; turn <= turns && len(all) > told; turn++ {
		for until := len(all) * turn / turns; told < until; told++ {
			goodbye(all[told])
		}
		if err := pause(ctx, drainTick); err != nil {
			return err
		}
	}
	return nil
}

// empty lets those go who came in while it drained, and waits for the last.
func (g *Gateway) empty(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.goodbyeTime())
	defer cancel()
	// Handshakes first: one that ends between the two looks is counted by the
	// second, as a session.
	for g.handshakes.Load() > 0 || g.parts.Hub.Count() > 0 {
		for _, s := range g.parts.Hub.Sessions() {
			goodbye(s) // does nothing to those that are closing
		}
		if err := pause(ctx, drainTick); err != nil {
			return err
		}
	}
	return nil
}

// goodbye sends a client to another instance.
func goodbye(s *session.Session) {
	after := rand.Int64N(int64(rejoinSpread / time.Millisecond)) //nolint:gosec // a spread, no secret
	data, err := json.Marshal(struct {
		Reason  string `json:"reason"`
		AfterMS int64  `json:"afterMs"`
	}{"drain", after})
	if err != nil {
		return // not reached: a string and a number
	}
	s.Send(wire.Event{Name: wire.EventReconnect, Data: data})
	s.Close(wire.Close{Code: wire.CloseServiceRestart, Reason: "drain"})
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
