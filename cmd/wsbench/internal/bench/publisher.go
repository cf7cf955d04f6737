//go:build linux

package bench

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/frame"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
)

// publishIDs begin above the ids of coming up.
const publishIDs = 1000

// publisher sends one stream. At most a window of its publications is not yet
// acknowledged, or not yet received by every member on every loop. Owned by
// its connection's loop, but for sent.
type publisher struct {
	app    *fanApp
	conn   *engine.Conn
	stream int
	room   string
	on     bool
	pace   pacer
	acked  uint64
	sent   atomic.Uint64 // publications sent
	buf    []byte
	text   []byte
}

func newPublisher(a *fanApp, c *engine.Conn, n int) *publisher {
	// Connection n is in room n modulo rooms; it is that room's n/rooms-th.
	rooms := a.f.opts.Rooms
	stream := n%rooms*a.f.opts.Publishers + n/rooms
	p := &publisher{app: a, conn: c, stream: stream, room: a.f.roomName(n % rooms)}
	a.f.publishers[stream] = p
	return p
}

func (p *publisher) start(now int64) {
	p.on = true
	if rate := p.app.f.opts.Rate; rate > 0 {
		// Each begins its own part of a turn later, or all would publish in the
		// same moment and the last member served would wait for all the others.
		phase := int64(float64(p.stream) / rate * float64(time.Second))
		p.pace = newPacer(now+phase, rate/float64(len(p.app.f.publishers)))
	}
}

// tick publishes what the window, and in an open loop the schedule, allow.
func (p *publisher) tick(now int64) (next int64) {
	if !p.on || !p.conn.IsOpen() {
		return 0
	}
	f, sent := p.app.f, p.sent.Load()
	n := int(min(p.acked, f.received(p.stream))+uint64(f.window)) - int(sent) //nolint:gosec // small
	if p.pace.every > 0 {
		return p.onTime(now, n)
	}
	if n < max(f.window/8, 1) || p.app.cl.l.Pending(p.conn) > 0 {
		if len(f.fleet.clients) > 1 {
			return now + int64(100*time.Microsecond) // other loops do not wake us
		}
		return 0
	}
	p.buf = p.buf[:0]
	for range n {
		p.add(now)
	}
	p.app.cl.l.Write(p.conn, p.buf)
	return 0
}

// onTime publishes what is due; what the window holds back keeps its intended
// time.
func (p *publisher) onTime(now int64, n int) (next int64) {
	p.buf = p.buf[:0]
	for ; n > 0 && p.pace.next() <= now; n-- {
		p.add(p.pace.next())
		p.pace.n++
	}
	if len(p.buf) > 0 {
		p.app.cl.l.Write(p.conn, p.buf)
	}
	return max(p.pace.next(), now+int64(50*time.Microsecond))
}

func (p *publisher) add(sent int64) {
	seq := p.sent.Add(1)
	body := gwproto.Body{Stream: uint64(p.stream), Seq: seq, Sent: sent} //nolint:gosec // small
	p.text = gwproto.AppendPublish(p.app.cl.dialect, p.text[:0], publishIDs+seq, &gwproto.Publish{Room: p.room, Body: body, Size: p.app.f.opts.Size})
	p.buf = frame.AppendMasked(p.buf, frame.Text, p.text, p.app.cl.l.Mask())
}

func (p *publisher) reply(e *gwproto.Envelope) {
	id, _ := gwproto.Uint(e.ID)
	if string(e.Event) == "error" || id != publishIDs+p.acked+1 {
		p.on = false
		p.app.f.fail(fmt.Errorf("publication %d: expected its acknowledgement, got %s id %s %s",
			p.acked+1, e.Event, e.ID, clip(e.Data)))
		return
	}
	p.acked++
}

// received is how far all members on all loops have received a stream.
func (f *fanout) received(n int) uint64 {
	low := uint64(math.MaxUint64 / 2)
	for _, a := range f.apps {
		if s := &a.streams[n]; s.members > 0 {
			low = min(low, s.done.Load())
		}
	}
	return low
}
