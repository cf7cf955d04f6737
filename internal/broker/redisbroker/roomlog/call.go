package roomlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	// repeatAfter is the pause before a request is sent a second time: the time
	// that a failover needs which was already decided.
	repeatAfter = 50 * time.Millisecond
	// faultEvery is how often faults are logged at most.
	faultEvery = 10 * time.Second
)

var (
	errUnconfirmed = errors.New("the connection failed before replicas confirmed")
	errShutDown    = errors.New("the log is shut down")
)

// order is a command to the shard of a room, and how it is repeated.
type order struct {
	room    string
	purpose purpose
	script  *script // nil for a command that is none
	bytes   int
	repeat  repeats
	// make makes the command. It gets how long ago it may have been executed
	// already, 0 at the first attempt.
	make func(ctx context.Context, ago time.Duration) redis.Cmder
}

// outcome is what became of an order.
type outcome struct {
	cmd        redis.Cmder // nil if it was never sent
	fate       fate
	replicated bool // enough replicas have it
}

// call executes an order, at most twice. An error is a wire.Error.
func (l *Log) call(ctx context.Context, o order) (outcome, error) {
	begun := time.Now()
	out, err := l.attempt(ctx, o, 0)
	if err == nil && o.repeat.again(out.fate) && l.pause(ctx) {
		l.counts.retries.Add(1)
		out, err = l.repeat(ctx, o, out.fate, time.Since(begun))
	}
	if err == nil {
		err = l.fault(out)
	}
	if err != nil {
		l.counts.unavailable.Add(1)
	}
	return out, err
}

// repeat executes an order that had a fate some time ago again.
func (l *Log) repeat(ctx context.Context, o order, was fate, ago time.Duration) (outcome, error) {
	switch was {
	case unsent, unloaded:
		ago = 0 // nothing was executed that had to be looked for
	case redirected:
		if o.purpose != replicating {
			return l.redirect(ctx, o, ago), nil
		}
	}
	return l.attempt(ctx, o, ago)
}

// pause waits before a repeat; false when the caller has left.
func (l *Log) pause(ctx context.Context) bool {
	l.redis.Refresh()
	wait := time.NewTimer(repeatAfter)
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempt executes an order once, in a pipeline with others.
func (l *Log) attempt(ctx context.Context, o order, ago time.Duration) (outcome, error) {
	if ctx.Err() != nil {
		return outcome{}, unavailable("the request ended before Redis took it")
	}
	shard, err := l.redis.Shard(ctx, o.room)
	if err != nil {
		return outcome{fate: unsent}, nil //nolint:nilerr // the fate says it
	}
	n := l.lane(shard, o.purpose)
	if n == nil {
		return outcome{}, unavailable(errShutDown.Error())
	}
	r := newRequest(o.script, o.bytes, o.make(ctx, ago))
	n.submit(r)
	select {
	case <-r.done:
		return outcome{cmd: r.cmd, fate: fateOf(r.cmd.Err()), replicated: r.replicated}, nil
	case <-ctx.Done():
	}
	if r.drop() {
		return outcome{}, unavailable("the request ended before Redis took it")
	}
	return outcome{}, unavailable("the request ended before Redis answered: it is not known whether it was done")
}

// redirect executes an order through the client that follows a cluster's
// redirections: its slot is elsewhere, or on its way.
func (l *Log) redirect(ctx context.Context, o order, ago time.Duration) outcome {
	cmd := o.make(ctx, ago)
	if o.script != nil {
		args := cmd.Args()
		args[0], args[1] = "EVAL", o.script.source
	}
	_ = l.redis.Client().Process(ctx, cmd)
	return outcome{cmd: cmd, fate: fateOf(cmd.Err())}
}

// fault is the error for clients of what could not be done, nil if it was.
func (l *Log) fault(out outcome) error {
	switch out.fate {
	case answered:
		return nil
	case unsent, redirected, unloaded:
		return unavailable("redis is away")
	case unknown:
		return unavailable("redis did not answer: it is not known whether the request was done")
	case refused, faulty:
		l.report(out.cmd.Err())
	}
	return unavailable("redis refuses the request")
}

// report logs what an operator must mend, now and then.
func (l *Log) report(err error) {
	l.counts.faults.Add(1)
	now := time.Now()
	l.mu.Lock()
	quiet := now.Sub(l.said) < faultEvery
	if !quiet {
		l.said = now
	}
	l.mu.Unlock()
	if !quiet {
		l.log.Error("redis refuses requests to rooms", zap.Error(err))
	}
}

func unavailable(message string) error { return wire.NewError(wire.Unavailable, message) }

// execute sends commands to one shard in one pipeline, and once more those
// for which the server lacked their script. Each command has its own error.
func execute(ctx context.Context, shard *redisconn.Shard, s *script, cmds []redis.Cmder) error {
	for range 2 {
		pipe := shard.Client().Pipeline()
		for _, cmd := range cmds {
			cmd.SetErr(nil)
			_ = pipe.Process(ctx, cmd)
		}
		_, _ = pipe.Exec(ctx)
		var again []redis.Cmder
		for _, cmd := range cmds {
			if fateOf(cmd.Err()) == unloaded {
				again = append(again, cmd)
			}
		}
		if cmds = again; len(cmds) == 0 {
			return nil
		}
		if err := shard.Client().ScriptLoad(ctx, s.source).Err(); err != nil {
			return fmt.Errorf("load a script: %w", err)
		}
	}
	return nil
}
