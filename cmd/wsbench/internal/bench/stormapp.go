//go:build linux

package bench

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
)

// stormApp brings connections of its loop back, checks what their rooms send,
// and publishes into the rooms whose first member is on its loop. A publish
// whose outcome is unknown is repeated with its key.
type stormApp struct {
	s     *storm
	cl    *client
	peers []stormPeer // by slot
	pubs  []stormPublisher
	due   []int32 // slots that wait to be dialled again
	pace  pacer
	on    bool // publishes
	over  bool // nobody comes back any more
	buf   []byte

	second     int64 // of the hand-offs that are counted
	inSecond   int
	most       int
	returns    int
	attempts   int
	refused    int
	lost       uint64
	repeated   uint64
	gaps       uint64
	away       hdr.Histogram
	behind     atomic.Int64 // members that lack what was acknowledged, as of the last tick
	nextBehind int64
}

// stormPeer is one connection.
type stormPeer struct {
	room    int32
	handed  bool // was told to reconnect
	pos     []byte
	last    uint64 // offset of the last publication that it has
	left    int64  // when it went away; 0: it is up
	dialAt  int64
	afterMS int64
}

// stormPublisher is the first member of a room.
type stormPublisher struct {
	slot  int32
	under uint64 // number of the publication under way; 0: none
	next  uint64
}

func newStormApp(s *storm, cl *client) *stormApp {
	a := &stormApp{s: s, cl: cl, peers: make([]stormPeer, len(cl.l.Conns()))}
	size := int32(max(cl.f.opts.RoomSize, 1)) //nolint:gosec // small
	for i, c := range cl.l.Conns() {
		if cl.f.opts.RoomSize > 0 {
			a.peers[i].room = c.Index / size
		}
		if c.Index == 0 || cl.f.opts.RoomSize > 0 && c.Index%size == 0 {
			a.pubs = append(a.pubs, stormPublisher{slot: c.Slot})
		}
	}
	return a
}

func (a *stormApp) start(now int64) {
	if rate := a.cl.f.opts.PublishRate; len(a.pubs) > 0 && rate > 0 {
		a.on = true
		a.pace = newPacer(now, rate/float64(a.cl.f.opts.Threads))
	}
}

// since implements resumer.
func (a *stormApp) since(c *engine.Conn) []byte { return a.peers[c.Slot].pos }

// joined implements resumer.
func (a *stormApp) joined(c *engine.Conn, data []byte) {
	p := &a.peers[c.Slot]
	offset, _ := gwproto.Uint(gwproto.Field(data, "offset"))
	asked := len(p.pos) > 0
	if asked && string(gwproto.Field(data, "recovered")) != "true" {
		a.refused++
		a.lost += offset - min(offset, p.last)
	}
	if !asked || offset > p.last {
		p.last = offset
	}
	p.keep([]byte(gwproto.String(gwproto.Field(data, "pos"))))
}

func (p *stormPeer) keep(pos []byte) {
	if len(pos) > 0 {
		p.pos = append(p.pos[:0], pos...)
	}
}

func (a *stormApp) ready(c *engine.Conn, _ uint64) {
	p := &a.peers[c.Slot]
	a.s.at[c.Target()].Add(1)
	if p.left != 0 {
		a.returns++
		a.away.Record(a.cl.l.Now() - p.left)
		p.left, p.handed = 0, false
	}
	for i := range a.pubs {
		if pub := &a.pubs[i]; pub.slot == c.Slot && pub.under != 0 {
			a.publish(c, pub, a.cl.l.Now()) // once more, with the same key
		}
	}
}

func (a *stormApp) closed(c *engine.Conn, why engine.Closure) {
	p := &a.peers[c.Slot]
	now := a.cl.l.Now()
	if p.left == 0 {
		if why.Opened {
			a.s.at[c.Target()].Add(-1)
		}
		p.left = now
	} else {
		a.attempts++
	}
	if a.over {
		return
	}
	wait := rand.Int64N(int64(max(a.cl.f.opts.Jitter, time.Millisecond))) //nolint:gosec // a spread
	if p.handed {
		wait = p.afterMS * int64(time.Millisecond)
	}
	p.dialAt = now + wait
	a.due = append(a.due, c.Slot)
}

// tick dials who is due, and publishes what is.
func (a *stormApp) tick(now int64) (next int64) {
	next = a.redial(now)
	if now >= a.nextBehind && !a.over {
		a.nextBehind = now + int64(50*time.Millisecond)
		a.countBehind()
	}
	conns := a.cl.l.Conns()
	for ; a.on && a.pace.next() <= now; a.pace.n++ {
		pub := &a.pubs[a.pace.n%int64(len(a.pubs))]
		if c := &conns[pub.slot]; pub.under == 0 && a.peers[pub.slot].left == 0 && c.IsOpen() {
			pub.next++
			pub.under = pub.next
			a.publish(c, pub, now)
		}
	}
	if a.on {
		next = earliest(next, a.pace.next())
	}
	return next
}

// earliest is the earlier of two times; 0 is none.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// redial dials those whose time has come, to a target other than the one that
// they left.
func (a *stormApp) redial(now int64) (next int64) {
	conns, targets := a.cl.l.Conns(), len(a.s.at)
	due := a.due
	a.due = a.due[len(a.due):]
	for _, slot := range due {
		if at := a.peers[slot].dialAt; at > now || a.over {
			a.due = append(a.due, slot)
			next = earliest(next, at)
			continue
		}
		c := &conns[slot]
		to := c.Target()
		if targets > 1 {
			to = (to + 1 + rand.IntN(targets-1)) % targets //nolint:gosec // a spread
		}
		a.cl.l.Redial(c, to)
	}
	return next
}

func (a *stormApp) countBehind() {
	n := int64(0)
	for i := range a.peers {
		if p := &a.peers[i]; p.left != 0 || p.last < a.s.rooms[p.room].acked.Load() {
			n++
		}
	}
	a.behind.Store(n)
}

func (a *stormApp) publish(c *engine.Conn, pub *stormPublisher, now int64) {
	p := gwproto.Publish{
		Room: a.cl.f.room(c.Index), Key: fmt.Sprint("k", pub.under),
		Body: gwproto.Body{Seq: pub.under, Sent: now}, Size: a.cl.f.opts.Size,
	}
	a.buf = gwproto.AppendPublish(a.cl.dialect, a.buf[:0], publishIDs+pub.under, &p)
	a.cl.l.SendText(c, a.buf)
}

func (a *stormApp) message(c *engine.Conn, payload []byte, now int64) {
	var e gwproto.Envelope
	if !a.cl.dialect.Scan(payload, &e) {
		return
	}
	p := &a.peers[c.Slot]
	switch string(e.Event) {
	case gwproto.Event:
		a.publication(p, &e)
	case "published", "error":
		a.answered(c, p, &e)
	case "gap":
		a.gaps++
	case "reconnect":
		a.handedOff(p, &e, now)
	}
}

func (a *stormApp) publication(p *stormPeer, e *gwproto.Envelope) {
	switch {
	case e.Offset <= p.last:
		a.repeated++
		return
	case e.Offset > p.last+1:
		a.lost += e.Offset - p.last - 1
	}
	p.last = e.Offset
	p.keep(e.Pos)
	a.cl.f.messages.Add(1)
}

// answered ends a publish, or begins it again a moment later.
func (a *stormApp) answered(c *engine.Conn, p *stormPeer, e *gwproto.Envelope) {
	id, _ := gwproto.Uint(e.ID)
	for i := range a.pubs {
		pub := &a.pubs[i]
		if pub.slot != c.Slot || pub.under == 0 || id != publishIDs+pub.under {
			continue
		}
		if string(e.Event) == "error" {
			if !a.over && p.left == 0 {
				a.publish(c, pub, a.cl.l.Now())
			}
			return
		}
		offset, _ := gwproto.Uint(gwproto.Field(e.Data, "offset"))
		room := &a.s.rooms[p.room].acked
		room.Store(max(room.Load(), offset))
		pub.under = 0
		return
	}
}

func (a *stormApp) handedOff(p *stormPeer, e *gwproto.Envelope, now int64) {
	p.handed = true
	after, _ := gwproto.Uint(gwproto.Field(e.Data, "afterMs"))
	p.afterMS = int64(min(after, 60_000))
	if second := now / int64(time.Second); second != a.second {
		a.second, a.inSecond = second, 0
	}
	a.inSecond++
	a.most = max(a.most, a.inSecond)
}
