package jsonscan

import (
	"errors"
	"math/bits"
)

// MaxDepth is the deepest nesting of arrays and objects that is accepted.
const MaxDepth = 64

// Errors of the package. ErrSyntax covers everything that is not JSON.
var (
	ErrSyntax = errors.New("invalid JSON")
	ErrDepth  = errors.New("JSON nested too deeply")
)

// Valid reports whether b is exactly one JSON value within MaxDepth.
func Valid(b []byte) error {
	i, err := value(b, space(b, 0), 0)
	if err != nil {
		return err
	}
	if space(b, i) != len(b) {
		return ErrSyntax
	}
	return nil
}

// space skips white space from i.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// value returns the index after the value that begins at i.
func value(b []byte, i, depth int) (int, error) {
	if i >= len(b) {
		return i, ErrSyntax
	}
	switch c := b[i]; {
	case c == '"':
		return str(b, i)
	case c == '{' || c == '[':
		if depth++; depth > MaxDepth {
			return i, ErrDepth
		}
		return container(b, i, depth)
	case c == '-' || digit(c):
		return number(b, i)
	default:
		return literal(b, i)
	}
}

// container skips the array or object that begins at i.
func container(b []byte, i, depth int) (int, error) {
	object := b[i] == '{'
	end := b[i] + 2 // '{'+2 is '}', '['+2 is ']'
	i = space(b, i+1)
	if i < len(b) && b[i] == end {
		return i + 1, nil
	}
	for {
		var err error
		if i, err = element(b, i, depth, object); err != nil {
			return i, err
		}
		switch {
		case i >= len(b):
			return i, ErrSyntax
		case b[i] == end:
			return i + 1, nil
		case b[i] != ',':
			return i, ErrSyntax
		}
		i = space(b, i+1)
	}
}

// element skips one element of a container, its key included, and the space
// after it.
func element(b []byte, i, depth int, object bool) (int, error) {
	var err error
	if object {
		if i, err = key(b, i); err != nil {
			return i, err
		}
	}
	if i, err = value(b, i, depth); err != nil {
		return i, err
	}
	return space(b, i), nil
}

// key skips a key, the colon and the space around it.
func key(b []byte, i int) (int, error) {
	i, err := str(b, i)
	if err != nil {
		return i, err
	}
	if i = space(b, i); i >= len(b) || b[i] != ':' {
		return i, ErrSyntax
	}
	return space(b, i+1), nil
}

// str skips the string that begins at i. The caller knows that b is valid
// UTF-8 (the transport checked), so only quotes, escapes and controls matter.
func str(b []byte, i int) (int, error) {
	if i >= len(b) || b[i] != '"' {
		return i, ErrSyntax
	}
	for i++; ; {
		i += plain(b[i:])
		if i >= len(b) || b[i] < 0x20 {
			return i, ErrSyntax
		}
		if b[i] == '"' {
			return i + 1, nil
		}
		n := escape(b[i:])
		if n == 0 {
			return i, ErrSyntax
		}
		i += n
	}
}

// plain counts the bytes before the next quote, backslash or control, eight at
// a time: most of a message is inside strings.
func plain(b []byte) int {
	n := 0
	for len(b)-n >= 8 {
		w := uint64(b[n]) | uint64(b[n+1])<<8 | uint64(b[n+2])<<16 | uint64(b[n+3])<<24 |
			uint64(b[n+4])<<32 | uint64(b[n+5])<<40 | uint64(b[n+6])<<48 | uint64(b[n+7])<<56
		if m := special(w); m != 0 {
			return n + bits.TrailingZeros64(m)>>3
		}
		n += 8
	}
	for n < len(b) && b[n] != '"' && b[n] != '\\' && b[n] >= 0x20 {
		n++
	}
	return n
}

// special marks the high bit of the lowest byte in w that is a quote, a
// backslash or below 0x20 ("Bit Twiddling Hacks", hasless and haszero); bits
// above the lowest mark may be wrong.
func special(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^(ones*'"'), w^(ones*'\\')
	return ((w-ones*0x20)&^w | (quote-ones)&^quote | (slash-ones)&^slash) & highs
}

// escape returns the length of the escape sequence at the start of b, 0 if it
// is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 || !hex(b[2]) || !hex(b[3]) || !hex(b[4]) || !hex(b[5]) {
			return 0
		}
		return 6
	}
	return 0
}

func hex(c byte) bool {
	return digit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// number skips the number that begins at i.
func number(b []byte, i int) (int, error) {
	if b[i] == '-' {
		i++
	}
	whole := digits(b[i:])
	if whole == 0 || whole > 1 && b[i] == '0' {
		return i, ErrSyntax
	}
	i += whole
	if i < len(b) && b[i] == '.' {
		n := digits(b[i+1:])
		if n == 0 {
			return i, ErrSyntax
		}
		i += 1 + n
	}
	return exponent(b, i)
}

// exponent skips the exponent that may begin at i.
func exponent(b []byte, i int) (int, error) {
	if i >= len(b) || b[i]|0x20 != 'e' {
		return i, nil
	}
	if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
		i++
	}
	n := digits(b[i:])
	if n == 0 {
		return i, ErrSyntax
	}
	return i + n, nil
}

func digits(b []byte) int {
	n := 0
	for n < len(b) && digit(b[n]) {
		n++
	}
	return n
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// literal skips true, false or null at i.
func literal(b []byte, i int) (int, error) {
	for _, l := range [...]string{"true", "false", "null"} {
		if len(b)-i >= len(l) && string(b[i:i+len(l)]) == l {
			return i + len(l), nil
		}
	}
	return i, ErrSyntax
}
