package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker/handoff"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/pubsub"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
)

var (
	errSilent    = errors.New("nothing was heard of it")
	errOutOfStep = errors.New("an answer to something else came")
)

// session is the life of one subscription connection: a goroutine reads, one
// sends canaries, and the link's own writes.
type session struct {
	l    *link
	conn *pubsub.Conn

	mu       sync.Mutex
	expected handoff.Ring[order] // guarded by mu: what the server has yet to answer, in order
}

func newSession(l *link, conn *pubsub.Conn) *session { return &session{l: l, conn: conn} }

// live returns why the connection was lost.
func (s *session) live() error {
	ctx, lost := context.WithCancelCause(s.l.ctx)
	defer lost(nil)
	stop := context.AfterFunc(ctx, s.conn.Close)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer s.conn.Close()
	wg.Go(func() { lost(s.receive()) })
	wg.Go(func() { lost(s.canaries(ctx)) })
	lost(s.write(ctx))
	return context.Cause(ctx)
}

// write tells the server what the link wants. What comes in the moment after a
// command shares the next one.
func (s *session) write(ctx context.Context) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-s.l.wake:
		case <-ctx.Done():
			return nil
		}
		if err := s.send(s.l.take()); err != nil {
			return err
		}
		pause.Reset(gather)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// send writes orders in their order, as many as possible in one command.
func (s *session) send(orders []order) error {
	for len(orders) > 0 {
		n := s.alike(orders)
		channels := make([]string, n)
		s.mu.Lock()
		for i, o := range orders[:n] {
			channels[i] = o.channel
			s.expected.Push(o)
		}
		s.mu.Unlock()
		command := s.conn.Subscribe
		if orders[0].leave {
			command = s.conn.Unsubscribe
		}
		commands, err := command(channels, s.sharded(orders[0]))
		s.l.b.count.commands.Add(uint64(commands)) //nolint:gosec // never negative
		if err != nil {
			return err
		}
		s.l.b.count.channels.Add(uint64(n)) //nolint:gosec // never negative
		orders = orders[n:]
	}
	return nil
}

// alike is how many orders at the head go into one command.
func (s *session) alike(orders []order) int {
	n := 1
	for n < min(len(orders), commandRooms) && orders[n].leave == orders[0].leave && s.sharded(orders[n]) == s.sharded(orders[0]) {
		n++
	}
	return n
}

// sharded tells whether an order is for a sharded channel: the canary's has no
// slot, and works on every master.
func (s *session) sharded(o order) bool { return o.room != nil && s.l.b.redis.Clustered() }

// receive hands on what comes until the connection is lost.
func (s *session) receive() error {
	for {
		got, err := s.conn.Receive()
		if err != nil {
			return err
		}
		if got.Kind != pubsub.Message { // an answer: it goes on in the order that canaries stand in
			s.l.heardAt.Store(time.Now().UnixNano())
		}
		switch got.Kind {
		case pubsub.Message:
			s.message(&got)
		case pubsub.Subscribed:
			err = s.subscribed(string(got.Channel))
		case pubsub.Unsubscribed:
			s.unsubscribed(string(got.Channel))
		case pubsub.Refused:
			err = s.refused(&got)
		}
		if err != nil {
			return err
		}
	}
}

func (s *session) message(got *pubsub.Received) {
	if name, ok := s.l.b.roomOf(got.Channel); ok {
		s.l.b.arrive(s.l, name, got.Payload)
		return
	}
	if string(got.Channel) != s.l.canary {
		return
	}
	if m, err := roomlog.Decode("", got.Payload); err == nil && m.Kind == roomlog.Canary {
		if nr, err := strconv.ParseUint(string(m.Payload), 10, 64); err == nil {
			s.l.answered(nr)
		}
	}
}

// roomOf returns the name of the room that a channel is of.
func (b *Broker) roomOf(channel []byte) ([]byte, bool) {
	n := len(b.before) + len(b.behindIt)
	if len(channel) <= n || string(channel[:len(b.before)]) != b.before ||
		string(channel[len(channel)-len(b.behindIt):]) != b.behindIt {
		return nil, false
	}
	return channel[len(b.before) : len(channel)-len(b.behindIt)], true
}

// subscribed takes the confirmation of the oldest order.
func (s *session) subscribed(channel string) error {
	o, ok := s.answer(func(o order) bool { return !o.leave && o.channel == channel })
	if !ok {
		return errOutOfStep
	}
	if o.room != nil {
		o.room.confirm(s.l, o.nr)
	}
	return nil
}

// unsubscribed takes the end of a subscription: the answer to the oldest order,
// or a loss, as when a slot of a cluster has moved.
func (s *session) unsubscribed(channel string) {
	if _, ok := s.answer(func(o order) bool { return o.leave && o.channel == channel }); ok {
		return
	}
	if name, ok := s.l.b.roomOf([]byte(channel)); ok {
		s.astray(s.l.b.arrived(name))
	}
}

// refused takes an error that the server answered to the oldest order.
func (s *session) refused(got *pubsub.Received) error {
	o, ok := s.answer(func(order) bool { return true })
	if !ok || !got.Moved() || !s.sharded(o) {
		return fmt.Errorf("subscribing was refused: %s", strings.ToValidUTF8(got.Reason, "?"))
	}
	if !o.leave {
		s.astray(o.room)
	}
	return nil
}

// answer takes the oldest order off if it is what was answered.
func (s *session) answer(fits func(order) bool) (order, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expected.Len() == 0 || !fits(*s.expected.At(0)) {
		return order{}, false
	}
	return s.expected.Pop(), true
}

// astray looks for a room's new home, which this server says is not here.
func (s *session) astray(r *room) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link == s.l {
		r.lose()
		r.astray = true
		s.l.b.redis.Refresh()
		s.l.b.seek()
	}
}

// canaries publishes to the connection's own channel, and gives the connection
// up when nothing comes back.
func (s *session) canaries(ctx context.Context) error {
	tick := time.NewTicker(canaryEvery)
	defer tick.Stop()
	for {
		nr := s.l.sent.Add(1)
		soon, cancel := context.WithTimeout(ctx, canaryEvery)
		// Should it fail, the silence tells.
		_ = s.l.shard.Client().Publish(soon, s.l.canary, roomlog.CanaryPayload(strconv.AppendUint(nil, nr, 10))).Err()
		cancel()
		select {
		case <-tick.C:
		case <-s.l.probe:
		case <-ctx.Done():
			return nil
		}
		if s.l.silent() {
			return errSilent
		}
	}
}
