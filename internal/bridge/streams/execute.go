package streams

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/fault"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	// attemptTime bounds one attempt of a command.
	attemptTime = 10 * time.Second
	// retryDelay is the wait before the second attempt; each one after it is
	// twice as long, up to maxRetryDelay.
	retryDelay    = 100 * time.Millisecond
	maxRetryDelay = 2 * time.Second
)

var (
	// errStopped ends the execution of a command that others will take up.
	errStopped = errors.New("streams: this instance reads no more")

	errPoison  = wire.NewError(wire.Internal, "it was delivered again and again without an end")
	errMissing = wire.NewError(wire.Unavailable, "not all instances have answered")
)

// jitter is a duration, half of it more or less.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d) //nolint:gosec // a spread, no secret
}

// begin executes a command on a goroutine that end waits for.
func (t *tenure) begin(j *job) {
	t.executions.Go(func() {
		err := t.carryOut(j)
		if errors.Is(err, errStopped) {
			return
		}
		t.outbox.put(result{j, err})
		for _, next := range t.board.executed(j) {
			t.begin(next)
		}
	})
}

// carryOut executes a command, as often as it takes. It returns nil when that
// is done, errStopped when it is left to others, and else why it is dead.
func (t *tenure) carryOut(j *job) error {
	if j.gone || j.fault != nil {
		return j.fault
	}
	for wait := retryDelay; ; wait = min(2*wait, maxRetryDelay) {
		err := t.attempt(j)
		switch {
		case err == nil, errors.Is(err, router.ErrNoConnection):
			t.c.stats.done(err != nil)
			return nil
		case t.ctx.Err() != nil:
			return errStopped
		case !passes(err), t.tried(j):
			return err
		}
		if !t.pause(jitter(wait)) {
			return errStopped
		}
		t.c.stats.retries.Add(1)
	}
}

// passes tells whether an error may be gone with the next attempt.
func passes(err error) bool {
	return errors.Is(err, errStopped) || fault.Of(err).Code == wire.Unavailable
}

// tried tells whether a command was tried for long enough.
func (t *tenure) tried(j *job) bool {
	return t.c.cfg.RetryFor > 0 && time.Since(j.begun) >= t.c.cfg.RetryFor
}

// attempt executes a command once, when there is room for it.
func (t *tenure) attempt(j *job) error {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-t.stop:
		return errStopped
	case <-t.ctx.Done():
		return errStopped
	}
	if t.over() || t.stopped() {
		return errStopped
	}
	ctx, cancel := context.WithTimeout(t.ctx, attemptTime)
	defer cancel()
	ctx, span := t.c.parts.Tracer.Command(ctx, j.cmd.trace, t.c.keys.stream, j.id, j.cmd.op)
	err := t.c.execute(ctx, j.id, j.cmd)
	if errors.Is(err, router.ErrNoConnection) {
		span.End(nil) // that is done too
	} else {
		span.End(err)
	}
	return err
}

func (t *tenure) stopped() bool {
	select {
	case <-t.stop:
		return true
	default:
		return false
	}
}

// pause waits before the next attempt; false when there will be none.
func (t *tenure) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.stop:
	case <-t.ctx.Done():
	}
	return false
}

// execute does what a command says. What it publishes has the entry's id for
// its idempotency key unless it has one of its own.
func (c *Commands) execute(ctx context.Context, id string, cmd command) error {
	people := c.parts.People
	switch cmd.op {
	case opDisconnect:
		return whole(people.Disconnect(ctx, cmd.to))
	case opSubscribe:
		return whole(people.Subscribe(ctx, cmd.to, cmd.room))
	case opUnsubscribe:
		return whole(people.Unsubscribe(ctx, cmd.to, cmd.room))
	case opRevoke:
		if cmd.token != "" {
			return whole(people.RevokeToken(ctx, cmd.token))
		}
		return whole(people.RevokeUser(ctx, cmd.revokes, cmd.until))
	}
	out := cmd.out
	out.Publisher = backend
	if out.IdempotencyKey == "" {
		out.Publisher, out.IdempotencyKey = "stream/"+c.cfg.Name, id
	}
	return c.publish(ctx, cmd, out)
}

func (c *Commands) publish(ctx context.Context, cmd command, out router.Outgoing) error {
	to := c.parts.Publisher
	switch {
	case cmd.room != "":
		_, err := to.SendRoom(ctx, cmd.room, out)
		return err
	case cmd.to.User != "":
		_, err := to.SendUser(ctx, cmd.to.User, out)
		return err
	case cmd.to.Connection != "":
		return to.SendConnection(ctx, cmd.to.Connection, out)
	}
	return to.SendEveryone(ctx, out)
}

// whole tells whether all that are meant were reached.
func whole(r fleet.Reached, err error) error {
	switch {
	case err != nil:
		return err
	case r.Fault != nil:
		return r.Fault
	case len(r.Missing) > 0:
		return errMissing
	}
	return nil
}
