package presence

import (
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wheel"
)

// mostLingering bounds the users in their grace; others leave at once.
const mostLingering = 100_000

// lingerer is a user who lost the last connection in a room a moment ago, and
// counts as there.
type lingerer struct {
	directory *Directory
	member    member
	timer     wheel.Timer
}

// lingering are the users in their grace. Guarded by Directory.mu.
type lingering struct {
	of    map[string]map[string]*lingerer // by room and user
	count int
}

// take takes a member out; nil when it does not linger.
func (all *lingering) take(m member) *lingerer {
	l := all.of[m.room][m.user]
	if l == nil {
		return nil
	}
	all.count--
	delete(all.of[m.room], m.user)
	if len(all.of[m.room]) == 0 {
		delete(all.of, m.room)
	}
	return l
}

// linger lets a member count as there for a while. d.mu is held.
func (d *Directory) linger(m member, grace time.Duration) {
	l := &lingerer{directory: d, member: m}
	if old := d.lingering.take(m); old != nil {
		d.wheel.Cancel(&old.timer)
	}
	if d.lingering.of[m.room] == nil {
		d.lingering.of[m.room] = map[string]*lingerer{}
	}
	d.lingering.of[m.room][m.user] = l
	d.lingering.count++
	d.wheel.Schedule(&l.timer, grace, l)
}

// Expired implements wheel.Task: the user has not come back.
func (l *lingerer) Expired() {
	d := l.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.lingering.of[l.member.room][l.member.user] != l {
		return
	}
	d.lingering.take(l.member)
	d.changes.leave(l.member)
	signal(d.wake)
}

func (d *Directory) lingers(m member) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lingering.of[m.room][m.user] != nil
}

// lingeringIn lists the users of a room in their grace, those after the given
// one, in no order.
func (d *Directory) lingeringIn(room, after string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var users []string
	for user := range d.lingering.of[room] {
		if user > after {
			users = append(users, user)
		}
	}
	return users
}

// allLingering lists all members in their grace, in no order.
func (d *Directory) allLingering() []member {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]member, 0, d.lingering.count)
	for _, users := range d.lingering.of {
		for _, l := range users {
			all = append(all, l.member)
		}
	}
	return all
}
