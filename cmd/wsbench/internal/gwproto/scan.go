package gwproto

import "bytes"

// Envelope is one message of the server. Its slices point into the message.
type Envelope struct {
	Event     []byte // without quotes; escapes are not resolved
	ID        []byte // raw JSON token; nil without one
	Room      []byte // without quotes
	Data      []byte // raw JSON
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
			e.Event = unquote(o.val)
		case "id":
			e.ID = o.val
		case "room":
			e.Room = unquote(o.val)
		case "data":
			e.Data = o.val
		case "offset":
			e.Offset, e.HasOffset = Uint(o.val)
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
func String(raw []byte) string { return string(unquote(raw)) }

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

func unquote(raw []byte) []byte {
	if len(raw) < 2 || raw[0] != '"' {
		return nil
	}
	return raw[1 : len(raw)-1]
}

// object walks over the members of one JSON object.
type object struct {
	b        []byte
	i        int
	key, val []byte
	done     bool // the closing brace was reached
}

func (o *object) open() bool {
	o.space()
	if o.i >= len(o.b) || o.b[o.i] != '{' {
		return false
	}
	o.i++
	return true
}

// next reads one member; false at the end of the object (done) or at a fault.
func (o *object) next() bool {
	switch o.peek() {
	case ',':
		o.i++
	case '}':
		o.done = true
		return false
	}
	if o.peek() != '"' {
		return false
	}
	start := o.i
	if !o.skipString() {
		return false
	}
	o.key = o.b[start+1 : o.i-1]
	if o.peek() != ':' {
		return false
	}
	o.i++
	o.space()
	start = o.i
	if !o.skipValue() {
		return false
	}
	o.val = o.b[start:o.i:o.i]
	return true
}

// peek is the next byte that is not white space, 0 at the end.
func (o *object) peek() byte {
	o.space()
	if o.i >= len(o.b) {
		return 0
	}
	return o.b[o.i]
}

func (o *object) space() {
	for o.i < len(o.b) && (o.b[o.i] == ' ' || o.b[o.i] == '\n' || o.b[o.i] == '\r' || o.b[o.i] == '\t') {
		o.i++
	}
}

// skipString passes a string; i stands on its opening quote.
func (o *object) skipString() bool {
	o.i++
	for {
		n := bytes.IndexByte(o.b[o.i:], '"')
		if n < 0 {
			return false
		}
		slashes := 0
		for k := o.i + n - 1; k >= o.i && o.b[k] == '\\'; k-- {
			slashes++
		}
		o.i += n + 1
		if slashes%2 == 0 {
			return true
		}
	}
}

func (o *object) skipValue() bool {
	switch o.peek() {
	case 0:
		return false
	case '"':
		return o.skipString()
	case '{', '[':
		return o.skipNested()
	}
	start := o.i
	for o.i < len(o.b) && !ends(o.b[o.i]) {
		o.i++
	}
	return o.i > start
}

func ends(c byte) bool {
	return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t'
}

func (o *object) skipNested() bool {
	depth := 0
	for o.i < len(o.b) {
		switch o.b[o.i] {
		case '"':
			if !o.skipString() {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		o.i++
		if depth == 0 {
			return true
		}
	}
	return false
}
