package jsonscan

import "encoding/json"

// Fields walks one JSON object:
//
//	for f := jsonscan.Object(b); f.Next(); {
//		switch string(f.Key) { … f.Value … }
//	}
//
// and check Err afterwards. Keys keep their case; the caller decides about
// keys that come twice.
type Fields struct {
	// Key is the current key, unquoted; Value the raw bytes of its value.
	// Both point into the object, except a Key that had escapes.
	Key, Value []byte

	b   []byte
	i   int
	err error
}

// Object begins a walk over the object b.
func Object(b []byte) Fields {
	i := space(b, 0)
	f := Fields{b: b, i: i}
	if i >= len(b) || b[i] != '{' {
		f.err = ErrSyntax
	}
	return f
}

// Err tells whether the walk met something that is not JSON. A walk that ended
// without an error has seen the whole of b.
func (f *Fields) Err() error { return f.err }

// Next moves to the next field. It returns false at the end or at an error.
func (f *Fields) Next() bool {
	if f.err != nil || !f.more() {
		return false
	}
	start := f.i
	if f.i, f.err = str(f.b, f.i); f.err != nil {
		return false
	}
	if f.Key, f.err = unquoteBytes(f.b[start:f.i]); f.err != nil {
		return false
	}
	if f.i = space(f.b, f.i); f.i >= len(f.b) || f.b[f.i] != ':' {
		f.err = ErrSyntax
		return false
	}
	begin := space(f.b, f.i+1)
	if f.i, f.err = value(f.b, begin, 1); f.err != nil {
		return false
	}
	f.Value = f.b[begin:f.i]
	return true
}

// more steps over the bracket or comma before the next field; false at the
// object's end.
func (f *Fields) more() bool {
	f.i = space(f.b, f.i)
	if f.i >= len(f.b) {
		f.err = ErrSyntax
		return false
	}
	c := f.b[f.i]
	f.i = space(f.b, f.i+1)
	if f.Value == nil { // c is the bracket that Object saw
		if f.i < len(f.b) && f.b[f.i] == '}' {
			f.i++
			return f.end()
		}
		return true
	}
	switch c {
	case ',':
		return true
	case '}':
		return f.end()
	}
	f.err = ErrSyntax
	return false
}

// end checks that nothing follows the object.
func (f *Fields) end() bool {
	if space(f.b, f.i) != len(f.b) {
		f.err = ErrSyntax
	}
	return false
}

// Unquote returns the text of a raw JSON string; ok is false when raw is not a
// string.
func Unquote(raw []byte) (s string, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	b, err := unquoteBytes(raw)
	return string(b), err == nil
}

// unquoteBytes strips the quotes of a scanned string; only strings with
// escapes are copied.
func unquoteBytes(raw []byte) ([]byte, error) {
	inner := raw[1 : len(raw)-1]
	for _, c := range inner {
		if c == '\\' {
			var s string
			err := json.Unmarshal(raw, &s)
			return []byte(s), err
		}
	}
	return inner, nil
}

// AppendQuoted appends s as a JSON string. s must be valid UTF-8; only what
// JSON requires is escaped.
func AppendQuoted(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
