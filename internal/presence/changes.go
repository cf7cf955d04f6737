package presence

import (
	"strings"
	"time"
)

const (
	// mostChanges bounds what waits to be written. Beyond it everything is
	// written anew from the hub, which costs no memory.
	mostChanges = 100_000
	// mostQuestions bounds those who wait to hear of their user's connections.
	mostQuestions = 10_000
)

// member is a user in a room. Neither name holds a NUL byte.
type member struct{ room, user string }

// text is the member's form in Redis: by room, then by user.
func (m member) text() string { return m.room + "\x00" + m.user }

func parseMember(text string) (member, bool) {
	room, user, ok := strings.Cut(text, "\x00")
	return member{room, user}, ok
}

// change is what has become of a member.
type change struct {
	in    bool // else out
	quiet bool // is no news to anybody
	told  bool // to the members here, while Redis was away
}

// changes are what waits to be written: the present state of whatever has
// changed. Guarded by Directory.mu.
type changes struct {
	members   map[member]change
	rooms     map[string]int // connections
	users     map[string]int // connections
	questions []*question
	anew      bool // write everything, and sweep
	writing   bool // everything, now
}

func (c *changes) reset() {
	c.members, c.rooms, c.users = map[member]change{}, map[string]int{}, map[string]int{}
}

// bound gives up single changes when they are too many.
func (c *changes) bound() {
	if len(c.members)+len(c.rooms)+len(c.users) > mostChanges {
		c.reset()
		c.anew = true
	}
}

// enter notes that a member is in. One whose leaving was not written yet is
// still there for the others.
func (c *changes) enter(m member) {
	if old, waits := c.members[m]; waits && !old.in && !old.quiet && !old.told {
		delete(c.members, m)
		return
	}
	c.members[m] = change{in: true}
	c.bound()
}

// leave notes that a member is out. Of one whose entering was not written yet
// nobody has heard.
func (c *changes) leave(m member) {
	old, waits := c.members[m]
	c.members[m] = change{quiet: waits && old.in && !old.told}
	c.bound()
}

// Entered implements hub.Fleet.
func (d *Directory) Entered(room, user string) {
	m := member{room, user}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	if l := d.lingering.take(m); l != nil { // back in time: for all others it never left
		d.wheel.Cancel(&l.timer)
		return
	}
	d.changes.enter(m)
	signal(d.wake)
}

// Left implements hub.Fleet.
func (d *Directory) Left(room, user string, grace time.Duration) {
	m := member{room, user}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
	case grace > 0 && d.lingering.count < mostLingering:
		d.linger(m, grace)
	default:
		d.changes.leave(m)
		signal(d.wake)
	}
}

// Counted implements hub.Fleet.
func (d *Directory) Counted(room string, connections int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.changes.rooms[room] = connections
	d.changes.bound()
	signal(d.wake)
}
