package emitter

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

const (
	pauseFirst = 50 * time.Millisecond // after a connection was lost
	pauseMost  = time.Second
	probeEvery = time.Second
	silentMost = 5 * time.Second // without an answer to a probe the connection is replaced
)

var errSilent = errors.New("the connection is silent")

// receive keeps a connection until Shutdown.
func (l *Listener) receive() {
	for pause := pauseFirst; l.ctx.Err() == nil; pause = min(2*pause, pauseMost) {
		err := l.connect()
		if l.fresh {
			pause = pauseFirst
		}
		l.lost(err)
		timer := time.NewTimer(pause/2 + rand.N(pause)) //nolint:gosec // spreads instances
		select {
		case <-timer.C:
		case <-l.ctx.Done():
			timer.Stop()
		}
	}
}

// connect makes a connection and lives on it until it is lost.
func (l *Listener) connect() error {
	shard := l.shard()
	if shard == nil {
		return redisconn.ErrAway
	}
	// What goes wrong here is an error of the first Receive.
	sub := shard.Client().PSubscribe(l.ctx, l.channels.patterns...)
	if len(l.channels.names) > 0 {
		_ = sub.Subscribe(l.ctx, l.channels.names...)
	}
	ctx, cancel := context.WithCancel(l.ctx)
	w := &watch{sub: sub, silence: l.silence}
	w.heard()
	var watching sync.WaitGroup
	watching.Go(func() { w.run(ctx) })
	err := l.live(sub, w)
	cancel()
	watching.Wait() // it closes the connection
	if w.silent.Load() {
		return errSilent
	}
	return err
}

// shard is a master that answers, nil if there is none. A message that is not
// sharded reaches all nodes of a cluster.
func (l *Listener) shard() *redisconn.Shard {
	for _, s := range l.parts.Redis.Shards() {
		if s.Up() {
			return s
		}
	}
	return nil
}

// live receives until the connection is lost. The library would make another
// one by itself, but silently; and maybe to a node that has left.
func (l *Listener) live(sub *redis.PubSub, w *watch) error {
	missing := l.channels.count()
	for {
		got, err := sub.Receive(l.ctx)
		if err != nil {
			return err
		}
		w.heard()
		switch got := got.(type) {
		case *redis.Subscription:
			if missing--; missing == 0 {
				l.found()
			}
		case *redis.Message:
			if a, ok := l.channels.arrival(got.Pattern, got.Channel, got.Payload); ok {
				l.take(a)
			}
		}
	}
}

// found says that the subscriptions are live. Owned by receive.
func (l *Listener) found() {
	l.fresh = true
	l.stats.connected.Store(true)
	l.note(nil)
	if !l.away.IsZero() {
		l.parts.Log.Info("emitter: the subscription connection to redis is back", zap.Duration("after", time.Since(l.away)))
		l.away = time.Time{}
	}
}

// lost says once that there is no connection. Owned by receive.
func (l *Listener) lost(err error) {
	if l.ctx.Err() != nil {
		return
	}
	if l.fresh {
		l.stats.reconnects.Add(1)
	}
	l.fresh = false
	l.stats.connected.Store(false)
	l.note(err)
	l.parts.Redis.Refresh()
	if l.away.IsZero() {
		l.away = time.Now()
		l.parts.Log.Warn("emitter: the subscription connection to redis is lost, and what is published meanwhile", zap.Error(err))
	}
}

// watch probes a connection and closes it, when it is silent, or with its
// context.
type watch struct {
	sub     *redis.PubSub // immutable
	silence time.Duration // immutable
	last    atomic.Int64  // Unix ns: when something came
	silent  atomic.Bool   // closed for that reason
}

func (w *watch) heard() { w.last.Store(time.Now().UnixNano()) }

func (w *watch) run(ctx context.Context) {
	defer func() { _ = w.sub.Close() }()
	tick := time.NewTicker(min(probeEvery, w.silence/4))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(time.Unix(0, w.last.Load())) > w.silence {
			w.silent.Store(true)
			return
		}
		_ = w.sub.Ping(ctx) // else it is lost, or soon silent
	}
}
