package presence

import (
	"context"
	"fmt"
)

// Keep prolongs the life of what this instance has written. It is to be called
// with each heartbeat.
func (d *Directory) Keep(ctx context.Context) error {
	if d.busy() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args := append([]any{d.ttl.Milliseconds()}, d.summaryNow()...)
	kept, err := d.redis.Client().Eval(ctx, keepScript, d.keys.whole(d.view.Self()), args...).Int()
	if err != nil {
		return fmt.Errorf("keep presence: %w", err)
	}
	if kept == 0 {
		d.startAnew()
	}
	return nil
}

// busy tells whether the writer is about to write everything: that prolongs the
// life of it too.
func (d *Directory) busy() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.away.Load() || d.changes.anew || d.changes.writing
}

// farewell writes what waits.
func (d *Directory) farewell(ctx context.Context) error {
	for {
		if more, _, err := d.step(ctx); err != nil || !more {
			return err
		}
	}
}
