package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// link is one connection of a client. Its methods are for one goroutine.
type link interface {
	// join asks for membership of a room from a position, "" for none.
	join(ctx context.Context, room, since string) error
	// next is the next event that comes.
	next(ctx context.Context) (event, error)
	// close ends it, without a word.
	close()
}

// event is what a client is told.
type event struct {
	Event, Room, Pos string
	Offset           uint64
	ID               int
	Data             json.RawMessage
}

// said is what is looked at in the gateway's own events and in messages.
type said struct {
	Room, Pos, Reason, Code, Message, Instance, Key string

	Offset    uint64
	AfterMs   int
	Recovered bool
}

func (e event) said() said {
	var s said
	_ = json.Unmarshal(e.Data, &s) // other data stays empty
	return s
}

// errMoved ends a connection that the gateway wants to be taken elsewhere.
var errMoved = errors.New("the gateway wants clients to reconnect")

// client is one client over all its connections.
type client struct {
	// Immutable.
	t     *Traffic
	user  string
	room  *room
	polls bool

	// Owned by live.
	since string // where it stands in the room; "" before it was there
	lost  time.Time

	mu       sync.Mutex
	instance string // guarded by mu; "" while it is not in its room
	got      uint64 // guarded by mu; the offset up to which it has everything
	err      error  // guarded by mu; why it is away
}

// at is the instance on which the client is, "" while it is not in its room.
func (c *client) at() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.instance
}

func (c *client) offset() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got
}

// trouble is why the client is away, nil when it is not.
func (c *client) trouble() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.instance != "" {
		return nil
	}
	return c.err
}

// live connects again and again, until ctx ends, with growing pauses and jitter
// as clients should.
func (c *client) live(ctx context.Context) {
	backoff := 50 * time.Millisecond
	for ctx.Err() == nil {
		was, err := c.visit(ctx)
		if was && ctx.Err() == nil {
			backoff = 50 * time.Millisecond
			c.t.reconnects.Add(1)
		}
		c.mu.Lock()
		c.instance, c.err = "", err
		c.mu.Unlock()
		_ = pause(ctx, time.Duration(rand.Int64N(int64(backoff))))
		backoff = min(2*backoff, 2*time.Second)
	}
}

// visit is one connection, until it ends. It tells whether the client was in
// its room.
func (c *client) visit(ctx context.Context) (was bool, err error) {
	l, err := c.dial(ctx)
	if err != nil {
		return false, err
	}
	defer l.close()
	instance := ""
	for {
		e, err := c.next(ctx, l)
		if err != nil {
			if was {
				c.lost = time.Now()
			}
			return was, err
		}
		switch said := e.said(); e.Event {
		case "connected":
			instance = said.Instance
			err = l.join(ctx, c.room.name, c.since)
		case "room_joined":
			if said.Room == c.room.name {
				was = true
				c.joined(instance, said)
			}
		case "reconnect":
			_ = pause(ctx, time.Duration(said.AfterMs)*time.Millisecond)
			err = errMoved
		default:
			err = c.take(e, said)
		}
		if err != nil {
			if was {
				c.lost = time.Now()
			}
			return was, err
		}
	}
}

func (c *client) dial(ctx context.Context) (link, error) {
	select {
	case c.t.dials <- struct{}{}:
		defer func() { <-c.t.dials }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	token := c.t.cfg.Token(c.user)
	if c.polls {
		return dialPolling(ctx, c.t.cfg.Address, token, !c.t.cfg.NoCookies)
	}
	return dialSocket(ctx, c.t.cfg.Address, token)
}

func (c *client) next(ctx context.Context, l link) (event, error) {
	ctx, cancel := context.WithTimeout(ctx, c.t.cfg.Silence)
	defer cancel()
	return l.next(ctx)
}

// joined is the reply to a join. The first one says where the client begins;
// later ones must take it up where it was.
func (c *client) joined(instance string, s said) {
	if c.since != "" && !s.Recovered {
		c.t.fault("%s cannot resume %s after %d: %s", c.user, s.Room, c.offset(), s.Reason)
	}
	c.mu.Lock()
	if c.since == "" || !s.Recovered {
		c.since, c.got = s.Pos, s.Offset
	}
	c.instance = instance
	last := c.err
	c.mu.Unlock()
	if !c.lost.IsZero() {
		c.t.back(c, time.Since(c.lost), last)
		c.lost = time.Time{}
	}
}

// take checks what came.
func (c *client) take(e event, s said) error {
	switch {
	case e.Event == "error":
		return fmt.Errorf("error %s: %s", s.Code, s.Message) // of the join: it is tried on the next connection
	case e.Event == "gap" || e.Event == "room_left":
		if s.Room == c.room.name {
			c.t.fault("%s is told %s of %s: %s", c.user, e.Event, s.Room, s.Reason)
		}
		return nil
	case e.Room != c.room.name:
		return nil // its own room, members, and the like
	}
	have := c.offset()
	switch {
	case e.Offset <= have:
		c.t.again.Add(1)
	case e.Offset > have+1:
		c.t.fault("%s gets %d of %s after %d", c.user, e.Offset, e.Room, have)
	default:
		c.t.delivered.Add(1)
	}
	if err := c.room.received(e.Offset, s.Key); err != nil {
		c.t.fault("%s: %v", c.user, err)
	}
	c.mu.Lock()
	if e.Offset > c.got {
		c.got, c.since = e.Offset, e.Pos
	}
	c.mu.Unlock()
	return nil
}
