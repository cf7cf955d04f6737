//go:build linux

package bench

import (
	"bytes"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/check"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
)

// fanApp counts and checks every message at every member of its loop. All
// members of a room get the same bytes in the same order, so a message is
// parsed once: for the next member it is compared, byte by byte, with the
// parsed one of the offset that this member must get now, and only its
// sequence is checked anew. Whatever differs is parsed.
type fanApp struct {
	f       *fanout
	cl      *client
	members []member         // by slot
	seqs    []check.Sequence // by slot and publisher of the room
	rooms   [][]parsed       // by room: the last parsed messages, by offset
	streams []stream
	pubs    []*publisher
	mask    uint64

	meter     meter
	delivered int64 // since the last tick
	tally     check.Tally
	offsets   check.Tally
	gaps      uint64
	foreign   uint64 // messages that belong to nobody here
	noOffset  bool
}

// member is one connection in its room.
type member struct {
	room   int32
	offset check.Sequence
}

// parsed is a message that was taken apart. msg is empty until then.
type parsed struct {
	msg    []byte
	offset uint64
	body   gwproto.Body
}

// stream follows how far all members of this loop have received one publisher.
type stream struct {
	room    int32
	members uint32
	count   []uint32      // receivers of each message, by sequence
	low     uint64        // received by all of them, up to here
	done    atomic.Uint64 // low, for publishers on other loops
}

func newFanApp(f *fanout, cl *client) *fanApp {
	conns := cl.l.Conns()
	a := &fanApp{
		f: f, cl: cl, mask: uint64(f.ring - 1), //nolint:gosec // a small power of two
		members: make([]member, len(conns)), seqs: make([]check.Sequence, len(conns)*f.opts.Publishers),
		rooms: make([][]parsed, f.opts.Rooms), streams: make([]stream, f.opts.Rooms*f.opts.Publishers),
	}
	for i := range a.rooms {
		a.rooms[i] = make([]parsed, f.ring)
	}
	for i := range a.streams {
		a.streams[i].room = int32(i / f.opts.Publishers) //nolint:gosec // small
		a.streams[i].count = make([]uint32, f.ring)
	}
	for i := range conns {
		room := int32(int(conns[i].Index) % f.opts.Rooms) //nolint:gosec // small
		a.members[i].room = room
		for p := range f.opts.Publishers {
			a.streams[int(room)*f.opts.Publishers+p].members++
		}
		if n := int(conns[i].Index); n < len(a.streams) {
			a.pubs = append(a.pubs, newPublisher(a, &conns[i], n))
		}
	}
	return a
}

func (a *fanApp) ready(c *engine.Conn, offset uint64) {
	a.members[c.Slot].offset = check.From(offset)
}

func (a *fanApp) closed(*engine.Conn, engine.Closure) {}

// message is the hot path.
func (a *fanApp) message(c *engine.Conn, payload []byte, now int64) {
	m := &a.members[c.Slot]
	expected := m.offset.Last() + 1
	p := &a.rooms[m.room][expected&a.mask]
	if p.offset == expected && bytes.Equal(p.msg, payload) {
		m.offset.Observe(expected)
		a.deliver(c, m, &p.body, now)
		return
	}
	a.parse(c, m, payload, now)
}

// deliver checks one member's sequence.
func (a *fanApp) deliver(c *engine.Conn, m *member, b *gwproto.Body, now int64) {
	pubs := a.f.opts.Publishers
	s := int(b.Stream) //nolint:gosec // checked when parsed
	v := a.seqs[int(c.Slot)*pubs+s-int(m.room)*pubs].Observe(b.Seq)
	a.tally.Count(v)
	if v == check.Duplicate {
		return
	}
	a.delivered++
	a.meter.record(now - b.Sent)
	a.received(&a.streams[s], b.Seq)
}

// received moves the low-water mark once all members have a message.
func (a *fanApp) received(s *stream, seq uint64) {
	s.count[seq&a.mask]++
	for s.count[(s.low+1)&a.mask] == s.members {
		s.low++
		s.count[s.low&a.mask] = 0
	}
}

// parse takes apart what is not the message that was expected.
func (a *fanApp) parse(c *engine.Conn, m *member, payload []byte, now int64) {
	var e gwproto.Envelope
	if !a.cl.dialect.Scan(payload, &e) {
		a.foreign++
		return
	}
	switch string(e.Event) {
	case gwproto.Event:
		a.publication(c, m, &e, payload, now)
	case "published", "error":
		a.reply(c, &e)
	case "gap":
		a.gaps++
	}
}

func (a *fanApp) publication(c *engine.Conn, m *member, e *gwproto.Envelope, payload []byte, now int64) {
	b, ok := gwproto.ScanBody(e.Data)
	if !ok || b.Stream >= uint64(len(a.streams)) || a.streams[b.Stream].room != m.room {
		a.foreign++
		return
	}
	if !e.HasOffset {
		a.noOffset, e.Offset = true, m.offset.Last()+1
	}
	a.offsets.Count(m.offset.Observe(e.Offset))
	p := &a.rooms[m.room][e.Offset&a.mask]
	p.msg, p.offset, p.body = append(p.msg[:0], payload...), e.Offset, b
	a.deliver(c, m, &b, now)
}

func (a *fanApp) reply(c *engine.Conn, e *gwproto.Envelope) {
	for _, p := range a.pubs {
		if p.conn == c {
			p.reply(e)
			return
		}
	}
}

// tick makes this batch's progress known and lets the publishers go on.
func (a *fanApp) tick(now int64) (next int64) {
	if a.delivered > 0 {
		a.cl.f.messages.Add(a.delivered)
		a.delivered = 0
		for i := range a.streams {
			if s := &a.streams[i]; s.members > 0 && s.done.Load() != s.low {
				s.done.Store(s.low)
			}
		}
	}
	a.meter.tick(now, a.cl.f)
	for _, p := range a.pubs {
		if at := p.tick(now); at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	return next
}

// finish counts what never came, after the loop has ended.
func (a *fanApp) finish() {
	pubs := a.f.opts.Publishers
	for i := range a.members {
		m := &a.members[i]
		for p := range pubs {
			a.tally.Lost += a.seqs[i*pubs+p].Missing(a.f.sent(int(m.room)*pubs + p))
		}
		a.offsets.Lost += m.offset.Missing(m.offset.Last())
	}
}
