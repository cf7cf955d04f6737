package gwproto

// Envelope is one message of the server. Its slices point into the message.
type Envelope struct {
	Event     []byte // without quotes; escapes are not resolved
	ID        []byte // raw JSON token; nil without one
	Room      []byte // without quotes
	Data      []byte // raw JSON
	Pos       []byte // without quotes
	Offset    uint64
	HasOffset bool
}

// Scan takes a message apart and reports whether it is one JSON object with an
// event. It checks only what it needs: JSON that is broken inside data may
// pass.
func Scan(b []byte, e *Envelope) bool {
	*e = Envelope{}
	o := object{b: b}
	if !o.open() {
		return false
	}
	for o.next() {
		switch string(o.key) {
		case "event":
			e.Event = Unquote(o.val)
		case "id":
			e.ID = o.val
		case "data":
			e.Data = o.val
		default:
			e.place(o.key, o.val)
		}
	}
	return o.done && len(e.Event) > 0
}

// Field returns the raw value of a key of a JSON object, nil if absent.
func Field(b []byte, key string) []byte {
	o := object{b: b}
	if !o.open() {
		return nil
	}
	for o.next() {
		if string(o.key) == key {
			return o.val
		}
	}
	return nil
}

// String returns the text of a raw JSON string without resolving escapes, ""
// for anything else.
func String(raw []byte) string { return string(Unquote(raw)) }

// Uint reads a raw JSON token as an unsigned decimal number.
func Uint(raw []byte) (v uint64, ok bool) {
	if len(raw) == 0 || len(raw) > 19 {
		return 0, false
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return v, true
}

// Unquote returns the text of a raw JSON string without resolving escapes, nil
// for anything else. It points into raw.
func Unquote(raw []byte) []byte {
	if len(raw) < 2 || raw[0] != '"' {
		return nil
	}
	return raw[1 : len(raw)-1]
}

// ScanPlace reads room, offset and pos of an object.
func ScanPlace(b []byte, e *Envelope) {
	o := object{b: b}
	if !o.open() {
		return
	}
	for o.next() {
		e.place(o.key, o.val)
	}
}

// place takes the fields that say where a publication stands.
func (e *Envelope) place(key, val []byte) {
	switch string(key) {
	case "room":
		e.Room = Unquote(val)
	case "pos":
		e.Pos = Unquote(val)
	case "offset":
		e.Offset, e.HasOffset = Uint(val)
	}
}
