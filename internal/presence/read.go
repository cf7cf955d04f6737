package presence

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/hub"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// readSize bounds the pages that are read at once.
const readSize = 128

// pageOf names a page of a room's users.
type pageOf struct {
	room, after string
	limit       int
}

// reading is a page that is read for all who have asked for it before.
type reading struct {
	pageOf
	done chan struct{} // closed when the rest is set
	page hub.Elsewhere
	err  error
}

// reads are the pages that wait to be read. One goroutine reads them, all that
// wait at once: what many ask for is read once.
type reads struct {
	wake chan struct{} // one wish to read; immutable

	mu      sync.Mutex
	waiting map[pageOf]*reading // guarded by mu
}

// join returns the reading of a page that has not begun yet: it sees all that
// was written before.
func (r *reads) join(p pageOf) *reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.waiting[p]
	if w == nil {
		if r.waiting == nil {
			r.waiting = map[pageOf]*reading{}
		}
		w = &reading{pageOf: p, done: make(chan struct{})}
		r.waiting[p] = w
		signal(r.wake)
	}
	return w
}

func (r *reads) take() []*reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*reading
	for p, w := range r.waiting {
		if len(out) == readSize {
			signal(r.wake)
			break
		}
		delete(r.waiting, p)
		out = append(out, w)
	}
	return out
}

// giveUp ends the readings that wait: Redis has just answered none, and they
// would wait for it one after the other.
func (r *reads) giveUp(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.waiting {
		w.err = fmt.Errorf("read presence: %w", err)
		close(w.done)
	}
	r.waiting = nil
}

// Elsewhere implements hub.Fleet. Users here in their grace are among those
// elsewhere: the others list them still.
func (d *Directory) Elsewhere(ctx context.Context, room, after string, limit int) (hub.Elsewhere, error) {
	var page hub.Elsewhere
	var err error
	if len(d.view.Others()) > 0 {
		page, err = d.await(ctx, pageOf{room, after, limit})
	}
	users := append(d.lingeringIn(room, after), page.Users...)
	page.Users, page.More = firstOf(users, limit, page.More)
	if err != nil {
		d.stats.unread.Add(1)
	}
	return page, err
}

// await waits for a page.
func (d *Directory) await(ctx context.Context, p pageOf) (hub.Elsewhere, error) {
	if d.away.Load() {
		return hub.Elsewhere{}, redisconn.ErrAway
	}
	r := d.reads.join(p)
	select {
	case <-r.done:
		return r.page, r.err
	case <-ctx.Done():
		return hub.Elsewhere{}, ctx.Err()
	case <-d.ctx.Done():
		return hub.Elsewhere{}, redisconn.ErrAway
	}
}

// firstOf makes a page of what may be more: sorted, each once.
func firstOf(names []string, limit int, more bool) ([]string, bool) {
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > limit {
		return names[:limit], true
	}
	return names, more
}

// readUntilStopped reads pages until Shutdown.
func (d *Directory) readUntilStopped() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-d.reads.wake:
		}
		if list := d.reads.take(); len(list) > 0 {
			d.readPages(list)
		}
	}
}

// part is what one instance has of one page.
type part struct {
	users *redis.StringSliceCmd
	rooms *redis.SliceCmd // of all pages
	index int             // of the page in rooms
}

// readPages reads pages from the keys of all other instances.
func (d *Directory) readPages(list []*reading) {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	pipe := d.redis.Client().Pipeline()
	rooms := make([]string, len(list))
	for i, r := range list {
		rooms[i] = r.room
	}
	parts := make([][]part, len(list))
	for _, inc := range d.view.Others() {
		counts := pipe.HMGet(ctx, d.keys.counts(inc), rooms...)
		for i, r := range list {
			users := pipe.ZRangeByLex(ctx, d.keys.members(inc), lexPage(r.pageOf))
			parts[i] = append(parts[i], part{users, counts, i})
		}
	}
	if pipe.Len() > 0 {
		cmds, err := pipe.Exec(ctx) // each command has its own error
		if err != nil && !slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return c.Err() == nil }) {
			defer d.reads.giveUp(err)
		}
	}
	for i, r := range list {
		r.page, r.err = mergePage(r.pageOf, parts[i])
		close(r.done)
	}
	d.stats.read.Add(int64(len(list)))
}

// lexPage is the range of a room's users, with one more to see whether there
// are more.
func lexPage(p pageOf) *redis.ZRangeBy {
	from := "[" + p.room + "\x00"
	if p.after != "" {
		from = "(" + p.room + "\x00" + p.after
	}
	return &redis.ZRangeBy{Min: from, Max: "(" + p.room + "\x01", Count: int64(p.limit) + 1}
}

// mergePage makes a page of what the instances have. With an error some have
// not been read.
func mergePage(p pageOf, parts []part) (hub.Elsewhere, error) {
	var page hub.Elsewhere
	var err error
	for _, one := range parts {
		if e := one.users.Err(); e != nil {
			err = fmt.Errorf("read presence: %w", e)
			continue
		}
		for _, text := range one.users.Val() {
			if m, ok := parseMember(text); ok {
				page.Users = append(page.Users, m.user)
			}
		}
		page.Connections += numberAt(one.rooms, one.index)
	}
	page.Users, page.More = firstOf(page.Users, p.limit, false)
	return page, err
}
