package redisbroker

import "context"

// Quiesce returns once everything that was published anywhere before the call,
// to rooms that are subscribed here, has been handed to the Sink and the Sink's
// calls have returned. It returns ctx's error if that ends earlier, as it does
// while Redis is away, and Unavailable if Shutdown comes first.
func (b *Broker) Quiesce(ctx context.Context) error {
	for _, l := range b.linksNow() {
		if err := b.waitFor(ctx, l.hail()); err != nil {
			return err
		}
	}
	mark := &countdown{zero: make(chan struct{})}
	mark.left.Store(1)
	for _, r := range b.all() {
		r.mark(mark)
	}
	mark.done()
	return b.waitFor(ctx, mark.zero)
}

func (b *Broker) waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.ctx.Done():
		return unavailable("the broker is shut down")
	}
}

// mark queues a mark behind everything that waits in the room, and behind what
// is yet to be read.
func (r *room) mark(c *countdown) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.gone:
	case r.behind:
		c.left.Add(1)
		r.marks = append(r.marks, c)
	case r.pending > 0:
		c.left.Add(1)
		r.enqueue(item{ctl: &control{mark: c}})
	}
}
