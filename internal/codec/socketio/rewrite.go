package socketio

import (
	"bytes"

	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
)

// object is what rewrite tells of a JSON object. Values are raw, and nil
// without the field.
type object struct {
	fields      int
	placeholder bool   // "_placeholder" is true; of repeated ones, any
	binary      bool   // "_binary" is true
	num, base64 []byte // of the fields of these names
}

// rewriter copies JSON and lets a function put something else in the place of
// its objects.
type rewriter struct {
	in   []byte
	done int // in[:done] is in out, or replaced there
	out  []byte
	swap func(out []byte, o object) ([]byte, bool, error)
}

// rewrite copies data, which is known to be JSON, and calls swap after each
// object, inner ones first: swap appends a replacement and returns true, or
// leaves the object as it is. Of an object around others, which is never
// replaced, it is not told num and base64. Nesting is at most jsonscan.MaxDepth deep.
func rewrite(data []byte, swap func(out []byte, o object) ([]byte, bool, error)) ([]byte, error) {
	r := rewriter{in: data, out: make([]byte, 0, len(data)), swap: swap}
	if _, err := r.value(r.space(0)); err != nil {
		return nil, err
	}
	return append(r.out, r.in[r.done:]...), nil
}

// value steps over the value at i and returns the index after it.
func (r *rewriter) value(i int) (int, error) {
	switch r.in[i] {
	case '"':
		return i + stringLen(r.in[i:]), nil
	case '[':
		return r.array(i)
	case '{':
		return r.object(i)
	}
	for i < len(r.in) && bytes.IndexByte([]byte(",]} \t\r\n"), r.in[i]) < 0 {
		i++
	}
	return i, nil
}

func (r *rewriter) array(i int) (int, error) {
	i = r.space(i + 1)
	for r.in[i] != ']' {
		var err error
		if i, err = r.value(i); err != nil {
			return i, err
		}
		i = r.next(i)
	}
	return i + 1, nil
}

func (r *rewriter) object(start int) (int, error) {
	var o object
	i := r.space(start + 1)
	for r.in[i] != '}' {
		keyEnd := i + stringLen(r.in[i:])
		key := r.in[i:keyEnd]
		begin := r.space(r.space(keyEnd) + 1) // over the colon
		end, err := r.value(begin)
		if err != nil {
			return end, err
		}
		o.field(key, r.in[begin:end])
		i = r.next(end)
	}
	return i + 1, r.offer(start, i+1, o)
}

// offer offers the object in[start:end] for a replacement.
func (r *rewriter) offer(start, end int, o object) error {
	if r.done > start { // it holds objects, which may have been replaced: it stays
		o.num, o.base64 = nil, nil
	} else {
		r.out = append(r.out, r.in[r.done:start]...)
		r.done = start
	}
	out, swapped, err := r.swap(r.out, o)
	if err == nil && swapped {
		r.out, r.done = out, end
	}
	return err
}

// field notes one field of an object.
func (o *object) field(key, value []byte) {
	o.fields++
	switch string(keyName(key)) {
	case "_placeholder":
		o.placeholder = o.placeholder || string(value) == "true"
	case "_binary":
		o.binary = string(value) == "true"
	case "num":
		o.num = value
	case "base64":
		o.base64 = value
	}
}

// keyName is the text of a raw key, if it may be one that object.field knows.
func keyName(raw []byte) []byte {
	const longest = len(`"_placeholder"`) * len(`\u0000`)
	if len(raw) > longest {
		return nil
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	name, _ := jsonscan.Unquote(raw)
	return []byte(name)
}

// next steps from the end of a value to the next one, or to the bracket that
// ends them.
func (r *rewriter) next(i int) int {
	if i = r.space(i); r.in[i] == ',' {
		return r.space(i + 1)
	}
	return i
}

func (r *rewriter) space(i int) int {
	for i < len(r.in) && (r.in[i] == ' ' || r.in[i] == '\t' || r.in[i] == '\n' || r.in[i] == '\r') {
		i++
	}
	return i
}
