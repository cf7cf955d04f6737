package presence

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/hub"
)

// writeAnew writes down everything that this instance has, and takes out what
// is in Redis besides. Changes are written in between: they are newer than what
// was read from the hub before them.
func (d *Directory) writeAnew() error {
	d.stats.anew.Add(1)
	buried, err := d.exhume()
	if err != nil {
		return err
	}
	w := &rewriter{d: d, again: buried}
	d.hub.EachRoom(w.room)
	for _, m := range d.allLingering() {
		if w.err != nil {
			break
		}
		w.add(func(b *batch) { b.members = append(b.members, memberChange{m, change{in: true, quiet: true}}) })
	}
	d.limiter.EachUser(func(user string, n int) bool {
		return w.add(func(b *batch) { b.users = append(b.users, count{user, n}) })
	})
	w.flush()
	w.sweep()
	if w.err != nil {
		return w.err
	}
	return d.seal()
}

// beginAnew tells whether everything is to be written.
func (d *Directory) beginAnew() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	begin := d.changes.anew
	d.changes.anew, d.changes.writing = false, begin
	return begin
}

// endAnew notes whether everything was written.
func (d *Directory) endAnew(done bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changes.anew, d.changes.writing = d.changes.anew || !done, false
}

// exhume takes this instance out of the grave that others have put it into, as
// one that was stopped for a while. They have told that its members are gone.
func (d *Directory) exhume() (buried bool, err error) {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	n, err := d.redis.Client().Del(ctx, d.keys.grave(d.view.Self())).Result()
	if err != nil {
		return false, fmt.Errorf("begin to write presence: %w", err)
	}
	return n > 0, nil
}

// seal says that everything is written.
func (d *Directory) seal() error {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	key := d.keys.summary(d.view.Self())
	_, err := d.redis.Client().Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.HSet(ctx, key, d.summaryNow()...)
		pipe.PExpire(ctx, key, d.ttl)
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the directory's summary: %w", err)
	}
	return nil
}

// rewriter writes everything anew. It is used by one goroutine.
type rewriter struct {
	d     *Directory
	again bool // tell of all members
	batch batch
	err   error // ends it
}

// room writes what the hub has of a room.
func (w *rewriter) room(here hub.Here) bool {
	w.add(func(b *batch) { b.rooms = append(b.rooms, count{here.Room, here.Connections}) })
	for _, user := range here.Users {
		m := member{here.Room, user}
		if !w.d.stays(m, w.again) {
			continue
		}
		w.add(func(b *batch) { b.members = append(b.members, memberChange{m, change{in: true, quiet: true}}) })
	}
	return w.err == nil
}

// stays tells whether a member has not changed, so that it is to be written as
// no news. With again it is to be told of like one that has changed.
func (d *Directory) stays(m member, again bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, changed := d.changes.members[m]
	if !changed && again {
		d.changes.members[m] = change{in: true}
	}
	return !changed && !again
}

// add adds to the batch, and writes it when it is full.
func (w *rewriter) add(f func(*batch)) bool {
	if w.err != nil {
		return false
	}
	f(&w.batch)
	if w.batch.full() {
		w.flush()
	}
	return w.err == nil
}

// flush writes the batch, then what has changed meanwhile: authentications wait
// for that.
func (w *rewriter) flush() {
	if w.err != nil {
		return
	}
	if len(w.batch.members)+len(w.batch.rooms)+len(w.batch.users) > 0 {
		_, _, w.err = w.d.put(w.d.ctx, &w.batch)
		w.batch = batch{}
	}
	for w.err == nil {
		var more bool
		if more, _, w.err = w.d.step(w.d.ctx); !more {
			return
		}
	}
}

// sweep takes out of Redis what is not here.
func (w *rewriter) sweep() {
	k, self := w.d.keys, w.d.view.Self()
	w.eachOf(k.members(self), func(text string) {
		if m, ok := parseMember(text); !ok || !w.d.has(m) {
			w.add(func(b *batch) { b.members = append(b.members, memberChange{m, change{quiet: true}}) })
		}
	})
	w.eachOf(k.rooms(self), func(name string) {
		if w.d.hub.Occupancy(name) == 0 {
			w.add(func(b *batch) { b.rooms = append(b.rooms, count{name, 0}) })
		}
	})
	w.eachUser(k.users(self))
	w.flush()
}

// has tells whether a member is here or in its grace. It may go from one to the
// other and back, but not while it is looked for in both.
func (d *Directory) has(m member) bool {
	return d.hub.Has(m.room, m.user) || d.lingers(m) || d.hub.Has(m.room, m.user)
}

// eachOf calls f for all members of a sorted set with equal scores.
func (w *rewriter) eachOf(key string, f func(string)) {
	for from := "-"; w.err == nil; {
		page, err := w.page(key, from)
		if w.err = err; err != nil || len(page) == 0 {
			return
		}
		for _, text := range page {
			f(text)
		}
		from = "(" + page[len(page)-1]
	}
}

func (w *rewriter) page(key, from string) ([]string, error) {
	ctx, cancel := context.WithTimeout(w.d.ctx, patience)
	defer cancel()
	page, err := w.d.redis.Client().ZRangeByLex(ctx, key, &redis.ZRangeBy{Min: from, Max: "+", Count: batchSize}).Result()
	if err != nil {
		return nil, fmt.Errorf("sweep presence: %w", err)
	}
	return page, nil
}

// eachUser takes users out who have no connection here.
func (w *rewriter) eachUser(key string) {
	for cursor := uint64(0); w.err == nil; {
		ctx, cancel := context.WithTimeout(w.d.ctx, patience)
		pairs, next, err := w.d.redis.Client().HScan(ctx, key, cursor, "", batchSize).Result()
		cancel()
		if err != nil {
			w.err = fmt.Errorf("sweep the users: %w", err)
			return
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			if user := pairs[i]; w.d.limiter.Here(user) == 0 {
				w.add(func(b *batch) { b.users = append(b.users, count{user, 0}) })
			}
		}
		if cursor = next; next == 0 {
			return
		}
	}
}
