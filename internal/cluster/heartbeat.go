package cluster

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
)

const (
	// beatsPerTTL is how often an instance tells of itself before its time is
	// over: three may be lost.
	beatsPerTTL = 4
	// minPause is the least time between two heartbeats, however many are
	// wished for.
	minPause = 50 * time.Millisecond
	// retryPause is the time to the next attempt after one that failed.
	retryPause = 500 * time.Millisecond
	// beatTime bounds one heartbeat, under way as the registry ends, too.
	beatTime = 2 * time.Second
	// leaveTime bounds the goodbye.
	leaveTime = time.Second
)

// pulse is what the goroutine that beats knows.
type pulse struct {
	since time.Time // when Redis answered again; zero while it does not
	state State     // that Redis has last taken
}

// beatUntil tells of this instance until ctx ends.
func (r *Registry) beatUntil(ctx context.Context) {
	var p pulse
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.wake:
			if !sleep(ctx, minPause) {
				return
			}
		}
		timer.Reset(r.beat(ctx, &p))
	}
}

// beat tells of this instance once and returns when to do it again.
func (r *Registry) beat(ctx context.Context, p *pulse) time.Duration {
	every := r.cfg.TTL / beatsPerTTL
	// One that was given up at the end could come to Redis after the goodbye.
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatTime)
	defer cancel()
	r.beaten.Store(time.Now().UnixNano())
	self := r.Self()
	r.stats.beats.Add(1)
	answer, bad, err := r.redis.beat(within, self)
	r.heard.Store(err == nil)
	if err != nil {
		r.failed(ctx, p, err)
		return jitter(min(every, retryPause))
	}
	r.stats.unreadable.Add(int64(bad))
	now := time.Now()
	if p.since.IsZero() {
		p.since = now
	}
	// Until then everybody has found Redis again, or waited for it in vain.
	r.take(answer, now, now.Sub(p.since) >= r.cfg.TTL/2+beatTime)
	if p.state != self.State {
		p.state = self.State
		r.events.push(event{announced: true})
	}
	signal(r.keep)
	return jitter(every)
}

// failed notes that Redis has not answered, and says so the first time.
func (r *Registry) failed(ctx context.Context, p *pulse, err error) {
	if ctx.Err() != nil {
		return
	}
	r.stats.failures.Add(1)
	if !p.since.IsZero() || r.stats.failures.Load() == 1 {
		r.log.Warn("cluster: Redis does not take the heartbeat", zap.Error(err))
	}
	// Who was announced before may be forgotten by now.
	*p = pulse{}
}

// take puts what Redis has told into the view.
func (r *Registry) take(answer []peer, now time.Time, settled bool) {
	others := answer[:0]
	for _, p := range answer {
		if p.Incarnation != r.incarnation {
			others = append(others, p)
		}
	}
	next, n := r.view.Load().merge(others, now, settled)
	r.view.Store(next)
	r.stats.gone.Add(int64(len(n.gone)))
	if n.changed {
		r.events.push(event{changed: true, gone: n.gone})
	}
}

// leave tells the fleet that this instance has left.
func (r *Registry) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	self := r.Self()
	self.State = left
	if _, _, err := r.redis.beat(ctx, self); err != nil {
		return err
	}
	for _, f := range r.announced {
		f(ctx)
	}
	return nil
}

// keepUntil calls the keepers after each heartbeat until ctx ends.
func (r *Registry) keepUntil(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.keep:
		}
		var failure error
		for _, f := range r.keepers {
			if err := f(ctx); err != nil {
				failure = err
			}
		}
		if failure != nil && !failing && ctx.Err() == nil {
			r.log.Warn("cluster: what this instance keeps in Redis could not be prolonged", zap.Error(failure))
		}
		failing = failure != nil
	}
}

// sleep waits; false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter is d, up to a tenth less: instances that were started together do not
// stay together.
func jitter(d time.Duration) time.Duration {
	return d - rand.N(d/10+1) //nolint:gosec // a spread, no secret
}
