package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/test/chaos/check"
	"github.com/moonx-farm/ws-gateway/test/chaos/link"
)

// The keys of a room, as package roomlog has them: the log, a stream whose
// entries have the ids offset-nonce, and its metadata, whose second word is the
// epoch.
const (
	logKey  = "ws-gateway:l:{%s}"
	metaKey = "ws-gateway:m:{%s}"
)

// pair is a Redis and its replica, which follows it over a link.
type pair struct {
	t           *testing.T
	replication *link.Link
	rooms       []string

	server sync.Mutex // held by the deed that changes the servers
	both   [2]*redistest.Server
	master int // guarded by server
}

func newPair(t *testing.T, rooms []string) *pair {
	t.Helper()
	args := []string{"--appendonly", "yes", "--appendfsync", "always", "--repl-ping-replica-period", "1", "--repl-timeout", "5"}
	p := &pair{t: t, rooms: rooms}
	p.both = [2]*redistest.Server{redistest.Single(t, args...), redistest.Single(t, args...)}
	p.replication = newLink(t, p.both[0].Addr())
	if err := p.follow(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	until(t, "the replica follows", func() bool { return p.following(t.Context()) })
	return p
}

// now is the master, other the replica.
func (p *pair) now() *redistest.Server   { return p.both[p.master] }
func (p *pair) other() *redistest.Server { return p.both[1-p.master] }

// direct is a client for one deed, which never repeats a command.
func (p *pair) direct(s *redistest.Server, deed func(*redis.Client) error) error {
	c := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1, ReadTimeout: patience})
	defer func() { _ = c.Close() }()
	return deed(c)
}

// follow makes a server the replica behind the link.
func (p *pair) follow(ctx context.Context, n int) error {
	return p.direct(p.both[n], func(c *redis.Client) error {
		return c.Do(ctx, "REPLICAOF", "127.0.0.1", strconv.Itoa(p.replication.Port())).Err()
	})
}

// following tells whether the replica has what the master has, but for what is
// under way.
func (p *pair) following(ctx context.Context) bool {
	ok := false
	_ = p.direct(p.other(), func(c *redis.Client) error {
		info, err := c.Info(ctx, "replication").Result()
		ok = strings.Contains(info, "master_link_status:up") && strings.Contains(info, "master_sync_in_progress:0")
		return err
	})
	return ok
}

// logs reads the logs of all rooms at one moment. With flush all data is gone
// in the same moment.
func (p *pair) logs(ctx context.Context, s *redistest.Server, flush bool) (check.Logs, error) {
	out := check.Logs{}
	err := p.direct(s, func(c *redis.Client) error {
		streams, metas := make([]*redis.XMessageSliceCmd, len(p.rooms)), make([]*redis.StringCmd, len(p.rooms))
		_, err := c.TxPipelined(ctx, func(tx redis.Pipeliner) error {
			for i, room := range p.rooms {
				streams[i] = tx.XRange(ctx, fmt.Sprintf(logKey, room), "-", "+")
				metas[i] = tx.Get(ctx, fmt.Sprintf(metaKey, room))
			}
			if flush {
				tx.FlushAll(ctx)
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		for i, room := range p.rooms {
			if out[room], err = parse(metas[i].Val(), streams[i].Val()); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// parse reads what stands under the keys of a room.
func parse(meta string, stream []redis.XMessage) (check.Log, error) {
	var log check.Log
	var err error
	if words := strings.Fields(meta); len(words) > 1 {
		if log.Epoch, err = strconv.ParseUint(words[1], 16, 64); err != nil {
			return log, err
		}
	}
	log.Entries, err = entries(stream)
	return log, err
}

func entries(stream []redis.XMessage) ([]check.Entry, error) {
	list := make([]check.Entry, 0, len(stream))
	for _, m := range stream {
		offset, nonce, _ := strings.Cut(m.ID, "-")
		o, err := strconv.ParseUint(offset, 10, 64)
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseUint(nonce, 10, 64)
		if err != nil {
			return nil, err
		}
		list = append(list, check.Entry{Offset: o, Nonce: n})
	}
	return list, nil
}

// flush empties Redis.
func (p *pair) flush(ctx context.Context, h *check.History) error {
	start := h.Now()
	before, err := p.logs(ctx, p.now(), true)
	// One that was restarted a moment ago may still be loading: nothing was done.
	for late := time.Now().Add(5 * time.Second); err != nil && redis.HasErrorPrefix(err, "EXECABORT") && time.Now().Before(late); {
		sleep(ctx, 50*time.Millisecond)
		before, err = p.logs(ctx, p.now(), true)
	}
	if err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	h.AddBreak(check.Break{Cause: check.Flush, Start: start, End: h.Now(), Before: before})
	return nil
}

// promote makes a replica that has been cut off the master: the gateways find
// it where the old one was, one after the other. The old one then follows it.
func (p *pair) promote(ctx context.Context, h *check.History, gateways []*link.Link, pause func() bool) error {
	start := h.Now()
	replica := p.other()
	if err := p.direct(replica, func(c *redis.Client) error { return c.Do(ctx, "REPLICAOF", "NO", "ONE").Err() }); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	after, err := p.logs(ctx, replica, false)
	if err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	for _, l := range gateways {
		l.Target(replica.Addr())
		l.Reset()
		pause()
	}
	end := h.Now()
	before, err := p.logs(ctx, p.now(), false)
	if err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	h.AddBreak(check.Break{Cause: check.Promotion, Start: start, End: end, Before: before, After: after})
	p.master = 1 - p.master
	p.replication.Target(replica.Addr())
	p.replication.Apply(link.Shape{})
	p.replication.Reset()
	return p.follow(ctx, 1-p.master)
}

// restart starts the killed master again and returns when it first served.
func (p *pair) restart(h *check.History) time.Duration {
	var served time.Duration
	var asking sync.WaitGroup
	asking.Go(func() {
		for begun := time.Now(); time.Since(begun) < patience && !pong(p.now().Addr()); time.Sleep(2 * time.Millisecond) {
			continue
		}
		served = h.Now()
	})
	p.now().Restart()
	asking.Wait()
	return served
}

// pong tells whether a server answers.
func pong(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	answer := make([]byte, len("+PONG"))
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, err = c.Write([]byte("PING\r\n"))
	if err == nil {
		_, err = io.ReadFull(c, answer)
	}
	return err == nil && string(answer) == "+PONG"
}

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}
