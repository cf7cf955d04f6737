package redisconn

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// How often a master is looked at. While it is away the looks are closer, so
// that service is back soon after Redis; apart by chance, so that a fleet does
// not come all at once.
const (
	lookEvery  = time.Second
	lookAway   = 200 * time.Millisecond
	lookNoMore = 50 * time.Millisecond // than once in this time, whoever asks
	lookWait   = 2 * time.Second       // for one answer; half of it while away
)

// attend looks at a shard's master until ctx ends. It owns the shard's clients
// and closes them, after commands under way have had their time.
func (m *Manager) attend(ctx context.Context, s *Shard) {
	s.probe.Store(m.clients.master(s.id, probePool))
	defer func() {
		_ = s.probe.Load().Close()
		select { // the shard is gone from the table, and some still hold it
		case <-m.ctx.Done():
		case <-time.After(m.cfg.CommandTimeout):
		}
		_ = s.client.Close()
	}()
	for {
		f, took, err := m.look(ctx, s)
		if ctx.Err() != nil {
			return
		}
		m.note(ctx, s, f, took, err)
		if err == nil && !f.master && m.slots == nil {
			// Sentinel may name another by now; only a new connection asks it.
			_ = s.probe.Swap(m.clients.master(s.id, probePool)).Close()
		}
		if !rest(ctx, s) {
			return
		}
	}
}

// rest waits until the next look is due, or somebody asks for one.
func rest(ctx context.Context, s *Shard) bool {
	pause := lookEvery
	if !s.Up() {
		pause = lookAway
	}
	return pauseFor(ctx, lookNoMore, pause, s.wake)
}

// pauseFor waits for at least one time, and for at most a longer one, which is
// shortened by chance, unless wake says that it is enough; false: ctx has ended.
func pauseFor(ctx context.Context, least, most time.Duration, wake <-chan struct{}) bool {
	most -= rand.N(most / 4) //nolint:gosec // spreads the fleet, keeps no secret
	timer := time.NewTimer(least)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	}
	timer.Reset(most - least)
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-wake:
	}
	return true
}

// look asks a master what it is. A connection that was merely cut is no loss:
// the second attempt makes another.
func (m *Manager) look(ctx context.Context, s *Shard) (facts, time.Duration, error) {
	wait := lookWait
	if !s.Up() {
		wait /= 2
	}
	begun := time.Now()
	f, err := ask(ctx, s.probe.Load(), wait)
	var timeout net.Error
	if err != nil && s.Up() && !(errors.As(err, &timeout) && timeout.Timeout()) {
		m.counts.reconnects.Add(1)
		begun = time.Now()
		f, err = ask(ctx, s.probe.Load(), wait)
	}
	return f, time.Since(begun), err
}

// ask is refused by a server that is loading its data: INFO would be answered.
func ask(ctx context.Context, probe *redis.Client, wait time.Duration) (facts, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var info [3]*redis.StringCmd
	_, err := probe.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Ping(ctx)
		for i, section := range []string{"server", "replication", "memory"} {
			info[i] = p.Info(ctx, section)
		}
		return nil
	})
	if err != nil {
		return facts{}, err
	}
	return readFacts(info[0].Val() + info[1].Val() + info[2].Val()), nil
}

// note takes in what a look has found, and tells the watchers.
func (m *Manager) note(ctx context.Context, s *Shard, f facts, took time.Duration, err error) {
	before := s.seen.Load()
	if err == nil {
		err = m.usable(f)
	}
	if err != nil {
		m.noteAway(s, before, err)
		return
	}
	if !before.up || m.schema.due() {
		m.checkSchema(ctx)
	}
	m.warn(f)
	s.seen.Store(&sight{up: true, repl: f.repl, latency: took})
	if !before.up {
		m.logUp(s, before)
	}
	if uncertain(s, before, f.repl) {
		m.tellReplication(s, before.repl, f.repl)
	}
}

// uncertain tells whether what the master acknowledged before may be gone.
func uncertain(s *Shard, before *sight, now Replication) bool {
	if !before.repl.Known {
		return s.late // its slots were another master's
	}
	return !before.up || !before.repl.same(now)
}

// same tells whether a master continues the same history, without a restart.
func (r Replication) same(other Replication) bool { return r.ID == other.ID && r.RunID == other.RunID }

func (m *Manager) tellReplication(s *Shard, before, now Replication) {
	if before.Known && !before.same(now) {
		m.log.Warn("another history of writes in redis", zap.String("shard", s.id), zap.String("replication", now.ID),
			zap.String("before", before.ID), zap.Bool("restarted", before.RunID != now.RunID))
	}
	m.counts.replications.Add(1)
	for _, w := range m.watchers {
		w.ReplicationChanged(s)
	}
}

// usable tells why a master that answered is no use.
func (m *Manager) usable(f facts) error {
	switch {
	case f.old():
		return errOld
	case f.master:
		return nil
	case m.slots != nil:
		return ErrAway // there was a failover, and the slots are elsewhere
	}
	return errReplica
}

// noteAway keeps what was known of the master's history, for comparison.
func (m *Manager) noteAway(s *Shard, before *sight, err error) {
	away := &sight{fault: wordsOf(err), repl: before.repl, lost: before.lost}
	if away.lost.IsZero() {
		away.lost = time.Now()
		m.log.Warn("redis is away", zap.String("shard", s.id), zap.Error(err))
		m.counts.losses.Add(1)
	}
	s.seen.Store(away)
	if m.slots != nil {
		m.slots.poke()
	}
}

// wordsOf is what everybody may know of an error, nil when it is no more than
// that Redis does not answer.
func wordsOf(err error) error {
	for _, known := range []error{errOld, errReplica} {
		if errors.Is(err, known) {
			return known
		}
	}
	for said, words := range map[string]error{"NOPERM": errNoInfo, "NOAUTH": errRefused, "WRONGPASS": errRefused} {
		if redis.HasErrorPrefix(err, said) || strings.Contains(err.Error(), said+" ") {
			return words
		}
	}
	return nil
}

func (m *Manager) logUp(s *Shard, before *sight) {
	if before.lost.IsZero() {
		m.log.Info("redis answers", zap.String("shard", s.id))
		return
	}
	m.log.Info("redis is back", zap.String("shard", s.id), zap.Duration("away", time.Since(before.lost)))
}

// warn says once that Redis may drop what the gateway relies on.
func (m *Manager) warn(f facts) {
	if f.policy != "" && f.policy != "noeviction" && m.warned.CompareAndSwap(false, true) {
		m.log.Warn("redis may evict history and presence when its memory is full: set maxmemory-policy to noeviction",
			zap.String("policy", f.policy))
	}
}
