package gwproto

import "bytes"

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

// List walks over the elements of one JSON array.
type List struct {
	Value []byte // raw; valid after Next
	Done  bool   // the closing bracket was reached
	o     object
	bad   bool
}

// Elements begins the walk; what is no array has no elements and is never Done.
func Elements(b []byte) List {
	l := List{o: object{b: b}}
	if l.bad = l.o.peek() != '['; !l.bad {
		l.o.i++
	}
	return l
}

// Next reads one element; false at the end of the array (Done) or at a fault.
func (l *List) Next() bool {
	if l.bad || l.Done {
		return false
	}
	switch l.o.peek() {
	case ',':
		l.o.i++
	case ']':
		l.Done = true
		return false
	}
	l.o.space()
	start := l.o.i
	if !l.o.skipValue() {
		l.bad = true
		return false
	}
	l.Value = l.o.b[start:l.o.i:l.o.i]
	return true
}
