package gwproto

import "strconv"

// Protocol is the subprotocol that wsbench offers.
const Protocol = "gateway.v1"

// Event is the name of the event that wsbench publishes.
const Event = "m"

// Body is what published data carries beside padding.
type Body struct {
	Stream uint64 // which publisher
	Seq    uint64 // rises by one in a stream, from 1
	Sent   int64  // when it was sent, or meant to be: nanoseconds of the run's clock
}

// AppendBody appends b as JSON, padded to size bytes (longer if b needs more).
func AppendBody(dst []byte, b Body, size int) []byte {
	start := len(dst)
	dst = append(dst, `{"p":`...)
	dst = strconv.AppendUint(dst, b.Stream, 10)
	dst = append(dst, `,"s":`...)
	dst = strconv.AppendUint(dst, b.Seq, 10)
	dst = append(dst, `,"t":`...)
	dst = strconv.AppendInt(dst, b.Sent, 10)
	if pad := size - (len(dst) - start) - len(`,"x":""}`); pad >= 0 {
		dst = append(dst, `,"x":"`...)
		dst = pad64(dst, pad)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

func pad64(dst []byte, n int) []byte {
	const xs = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	for ; n > len(xs); n -= len(xs) {
		dst = append(dst, xs...)
	}
	return append(dst, xs[:n]...)
}

// ScanBody reads what AppendBody wrote.
func ScanBody(data []byte) (b Body, ok bool) {
	o := object{b: data}
	if !o.open() {
		return b, false
	}
	found := 0
	for o.next() {
		v, isNumber := Uint(o.val)
		if !isNumber || len(o.key) != 1 {
			continue
		}
		switch o.key[0] {
		case 'p':
			b.Stream = v
		case 's':
			b.Seq = v
		case 't':
			b.Sent = int64(v) //nolint:gosec // written as int64
		default:
			continue
		}
		found++
	}
	return b, found == 3
}

// AppendJoin appends a join_room request, from a position if there is one.
func AppendJoin(d Dialect, dst []byte, id uint64, room string, since []byte) []byte {
	dst = appendRoom(d.Begin(dst, "join_room", id), room)
	if len(since) > 0 {
		dst = append(append(append(dst, `,"since":"`...), since...), '"')
	}
	return d.End(append(dst, '}'))
}

// AppendLeave appends a leave_room request.
func AppendLeave(d Dialect, dst []byte, id uint64, room string) []byte {
	return d.End(append(appendRoom(d.Begin(dst, "leave_room", id), room), '}'))
}

func appendRoom(dst []byte, room string) []byte {
	return append(append(append(dst, `{"room":"`...), room...), '"')
}

// Publish is a publication on its way to a room.
type Publish struct {
	Room   string
	Key    string // idempotency key, "" for none
	NoEcho bool   // the publisher gets no copy
	Body   Body
	Size   int // bytes of the data
}

// AppendPublish appends a publish request.
func AppendPublish(d Dialect, dst []byte, id uint64, p *Publish) []byte {
	dst = appendRoom(d.Begin(dst, "publish", id), p.Room)
	if p.Key != "" {
		dst = append(append(append(dst, `,"idempotencyKey":"`...), p.Key...), '"')
	}
	if p.NoEcho {
		dst = append(dst, `,"echo":false`...)
	}
	dst = append(dst, `,"event":"`+Event+`","data":`...)
	return d.End(append(AppendBody(dst, p.Body, p.Size), '}'))
}

// AppendPing appends a ping request, padded to at least size bytes.
func AppendPing(d Dialect, dst []byte, id uint64, size int) []byte {
	return AppendAsk(d, dst, "ping", id, size)
}

// AppendAsk appends a request of any event with nothing but padding for data,
// in all at least size bytes.
func AppendAsk(d Dialect, dst []byte, event string, id uint64, size int) []byte {
	start := len(dst)
	dst = append(d.Begin(dst, event, id), `{"x":"`...)
	end := len(d.End(dst)) - len(dst)
	pad := size - (len(dst) - start) - len(`"}`) - end
	return d.End(append(pad64(dst, max(pad, 0)), `"}`...))
}
