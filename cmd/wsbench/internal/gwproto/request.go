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
func AppendJoin(dst []byte, id uint64, room string, since []byte) []byte {
	dst = append(dst, `{"event":"join_room","id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	dst = append(dst, `,"data":{"room":"`...)
	dst = append(dst, room...)
	if len(since) > 0 {
		dst = append(dst, `","since":"`...)
		dst = append(dst, since...)
	}
	return append(dst, `"}}`...)
}

// AppendPublish appends a publish request whose data is body, size bytes long.
func AppendPublish(dst []byte, id uint64, room string, body Body, size int) []byte {
	return AppendKeyedPublish(dst, id, room, "", body, size)
}

// AppendKeyedPublish is AppendPublish with an idempotency key, "" for none.
func AppendKeyedPublish(dst []byte, id uint64, room, key string, body Body, size int) []byte {
	dst = append(dst, `{"event":"publish","id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	dst = append(dst, `,"data":{"room":"`...)
	dst = append(dst, room...)
	if key != "" {
		dst = append(dst, `","idempotencyKey":"`...)
		dst = append(dst, key...)
	}
	dst = append(dst, `","event":"m","data":`...)
	dst = AppendBody(dst, body, size)
	return append(dst, `}}`...)
}

// AppendPing appends a ping request, padded to at least size bytes.
func AppendPing(dst []byte, id uint64, size int) []byte {
	start := len(dst)
	dst = append(dst, `{"event":"ping","id":`...)
	dst = strconv.AppendUint(dst, id, 10)
	if pad := size - (len(dst) - start) - len(`,"data":{"x":""}}`); pad >= 0 {
		dst = append(dst, `,"data":{"x":"`...)
		dst = pad64(dst, pad)
		dst = append(dst, `"}`...)
	}
	return append(dst, '}')
}
