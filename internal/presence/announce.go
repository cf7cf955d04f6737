package presence

import (
	"context"
	"slices"
	"sync"

	"github.com/moonx-farm/ws-gateway/internal/hub"
)

const (
	// tellers bounds the notices that are on their way at once.
	tellers = 16
	// mostDoubts bounds how often it is looked whether what was told is true.
	mostDoubts = 5
)

// spread tells all instances what has changed, and looks whether those who left
// are elsewhere after all: whoever comes somewhere while others are told that
// they have left may have been announced before. The last word is then theirs
// who look last.
func (d *Directory) spread(ctx context.Context, news []memberChange) {
	d.announce(ctx, news)
	doubtful := slices.DeleteFunc(news, func(m memberChange) bool { return m.in })
	for n := 0; n < mostDoubts && len(doubtful) > 0; n++ {
		b := &batch{members: doubtful}
		all, err := d.look(ctx, b)
		if err != nil {
			return // Redis is away: what is there will be written, and told, anew
		}
		doubtful = nil
		for i, m := range b.asked {
			there := d.has(m.member)
			for j := range all {
				there = there || all[j].of(i).there
			}
			if there != m.in {
				m.in = there
				doubtful = append(doubtful, m)
			}
		}
		d.announce(ctx, doubtful)
	}
}

// announce tells all instances with members of the rooms what has changed, in
// order for each room. What does not reach them reaches the members here.
func (d *Directory) announce(ctx context.Context, news []memberChange) {
	if len(news) == 0 {
		return
	}
	rooms := map[string][]memberChange{}
	for _, m := range news {
		rooms[m.room] = append(rooms[m.room], m)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	work := make(chan []memberChange)
	var wg sync.WaitGroup
	for range min(tellers, len(rooms)) {
		wg.Go(func() {
			for list := range work {
				d.announceIn(ctx, list)
			}
		})
	}
	for _, list := range rooms {
		work <- list
	}
	close(work)
	wg.Wait()
}

// announceIn tells of changes in one room.
func (d *Directory) announceIn(ctx context.Context, list []memberChange) {
	for _, m := range list {
		payload := hub.EncodeNotice(m.in, m.user)
		if err := d.tell.Notify(ctx, m.room, payload); err != nil {
			d.stats.unheard.Add(1)
			d.hub.Notice(m.room, payload)
		} else {
			d.stats.announced.Add(1)
		}
	}
}

// tellHere tells the members here what all will be told once Redis is back.
func (d *Directory) tellHere() {
	var news []memberChange
	d.mu.Lock()
	for m, ch := range d.changes.members {
		if !ch.quiet && !ch.told {
			ch.told = true
			d.changes.members[m] = ch
			news = append(news, memberChange{m, ch})
		}
	}
	d.mu.Unlock()
	for _, m := range news {
		if d.hub.Tells(m.room, d.hub.Occupancy(m.room)) {
			d.hub.Notice(m.room, hub.EncodeNotice(m.in, m.user))
		}
	}
}
