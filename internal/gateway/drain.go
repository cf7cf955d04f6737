package gateway

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/health"
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

// draining is a drain that has begun.
type draining struct {
	cut  context.CancelFunc // ends it early
	done chan struct{}      // closed when it has ended
	err  error              // immutable once done is closed
}

// BeginDrain begins to drain, as Drain does, and returns at once; false when
// that has begun already. The process stays, and is not ready, until it is
// stopped; then call Drain.
func (g *Gateway) BeginDrain() bool {
	_, first := g.begin()
	return first
}

// Drain lets all clients go: it refuses new connections at once, those too whose
// credential is being verified, waits for DrainDelay, refuses publishes, has everything that was acknowledged queued on
// its receivers' connections, and then tells the clients to reconnect and
// closes them, spread evenly over DrainWindow. It returns when all have gone,
// or with ctx's error. A drain that has begun already is waited for; if it could
// not let everybody go, those who are left are told once more.
func (g *Gateway) Drain(ctx context.Context) error {
	d, first := g.begin() //nolint:contextcheck // ctx's end is its end, see below
	select {
	case <-d.done:
	case <-ctx.Done():
		d.cut()
		<-d.done
		return ctx.Err()
	}
	if d.err != nil && !first {
		return g.empty(ctx)
	}
	return d.err
}

// begin begins to drain unless that has begun.
func (g *Gateway) begin() (d *draining, first bool) {
	g.drainMu.Lock()
	defer g.drainMu.Unlock()
	if g.drain != nil {
		return g.drain, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.DrainTime())
	g.drain = &draining{cut: cancel, done: make(chan struct{})}
	d = g.drain
	g.draining.Store(true)
	g.giveUp() // after it: who was given up is told why
	for _, f := range g.onDrain {
		f()
	}
	// It ends with d.cut, which Drain calls, or by itself.
	go func() {
		defer close(d.done)
		defer cancel()
		d.err = g.letGo(ctx)
	}()
	return d, true
}

// OnDrain has f called when a drain begins, once new connections are refused. It
// must not block. Call it before the first connection.
func (g *Gateway) OnDrain(f func()) { g.onDrain = append(g.onDrain, f) }

// letGo is a drain from its beginning to its end.
func (g *Gateway) letGo(ctx context.Context) error {
	g.parts.Log.Info("draining", zap.Int("connections", g.connections()),
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
	g.dismiss()
	all := g.parts.Hub.Sessions()
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] }) //nolint:gosec // no secret
	window := min(g.cfg.DrainWindow, time.Duration(len(all))*drainPace)
	turns := int(window/drainTick) + 1
	told := 0
	for turn := 1; turn <= turns && len(all) > told; turn++ {
		for until := len(all) * turn / turns; told < until; told++ {
			goodbye(all[told], reasonDrain, g.where())
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
	for g.handshakes.Load() > 0 || g.connections() > 0 {
		g.dismiss()
		for _, s := range g.parts.Hub.Sessions() {
			goodbye(s, reasonDrain, "") // does nothing to those that are closing
		}
		if err := pause(ctx, drainTick); err != nil {
			return err
		}
	}
	return nil
}

// dismiss lets those go who have no session.
func (g *Gateway) dismiss() {
	if g.lobby != nil {
		g.lobby.Dismiss(closeDrain)
	}
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
