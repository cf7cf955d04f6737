package emitter

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
)

// maxDepth is the deepest nesting of an argument. With the array of the
// arguments around it, it is still JSON that the gateway reads.
const maxDepth = jsonscan.MaxDepth - 2

var (
	errDeep      = errors.New("nested too deep")
	errTruncated = errors.New("ends too early")
	errTooLarge  = errors.New("too large")
	errKind      = errors.New("a value of another type than expected")
	errExtension = errors.New("an extension of MessagePack that is not known")
)

// scanner reads MessagePack and writes it as JSON. The library's own values are
// not used: it believes the lengths that it reads, and has no bound on nesting.
type scanner struct {
	raw    string
	from   *strings.Reader // of raw
	decode *msgpack.Decoder
	limit  int // bytes of out; 0: no bound
	out    []byte
}

func newScanner(raw string, limit int) *scanner {
	from := strings.NewReader(raw)
	return &scanner{raw: raw, from: from, decode: msgpack.NewDecoder(from), limit: limit}
}

// peek is the next value's code; 0xc1, which is none, at the end.
func (s *scanner) peek() byte {
	c, err := s.decode.PeekCode()
	if err != nil {
		return 0xc1
	}
	return c
}

// take returns the next n bytes.
func (s *scanner) take(n int) (string, error) {
	if n < 0 || n > s.from.Len() {
		return "", errTruncated
	}
	at := len(s.raw) - s.from.Len()
	_, err := s.from.Seek(int64(n), io.SeekCurrent)
	return s.raw[at : at+n], err
}

// value appends the next value as JSON.
func (s *scanner) value(depth int) error {
	var err error
	switch c := s.peek(); {
	case isArray(c), isMap(c):
		err = s.composite(c, depth)
	case msgpcode.IsString(c), msgpcode.IsBin(c), msgpcode.IsExt(c):
		err = s.text(c)
	default:
		err = s.scalar(c)
	}
	if err == nil && s.limit > 0 && len(s.out) > s.limit {
		err = errTooLarge
	}
	return err
}

func isArray(c byte) bool {
	return msgpcode.IsFixedArray(c) || c == msgpcode.Array16 || c == msgpcode.Array32
}

func isMap(c byte) bool {
	return msgpcode.IsFixedMap(c) || c == msgpcode.Map16 || c == msgpcode.Map32
}

// scalar appends a number, a truth value or nothing.
func (s *scanner) scalar(c byte) error {
	switch c {
	case msgpcode.Nil:
		s.out = append(s.out, "null"...)
		return s.decode.DecodeNil()
	case msgpcode.True, msgpcode.False:
		b, err := s.decode.DecodeBool()
		s.out = strconv.AppendBool(s.out, b)
		return err
	case msgpcode.Float, msgpcode.Double:
		f, err := s.decode.DecodeFloat64()
		if err != nil {
			return err
		}
		return s.float(f)
	}
	return s.integer(c)
}

// float appends a number as JavaScript writes it; what is none becomes null.
func (s *scanner) float(f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		s.out = append(s.out, "null"...)
		return nil
	}
	text, err := json.Marshal(f)
	s.out = append(s.out, text...)
	return err
}

func (s *scanner) integer(c byte) error {
	switch {
	case c == msgpcode.Uint64:
		n, err := s.decode.DecodeUint64()
		s.out = strconv.AppendUint(s.out, n, 10)
		return err
	case isInteger(c):
		n, err := s.decode.DecodeInt64()
		s.out = strconv.AppendInt(s.out, n, 10)
		return err
	case s.from.Len() == 0:
		return errTruncated
	}
	return errKind
}

func isInteger(c byte) bool {
	return msgpcode.IsFixedNum(c) || c >= msgpcode.Uint8 && c <= msgpcode.Int64
}

// text appends a string, or what stands for bytes.
func (s *scanner) text(c byte) error {
	if msgpcode.IsExt(c) {
		return s.extension()
	}
	n, err := s.decode.DecodeBytesLen()
	if err != nil {
		return err
	}
	data, err := s.take(n)
	if err != nil {
		return err
	}
	if msgpcode.IsBin(c) {
		s.binary(data)
	} else {
		s.out = jsonscan.AppendQuoted(s.out, valid(data))
	}
	return nil
}

// valid is a text with what is not UTF-8 replaced, as a decoder in JavaScript
// does.
func valid(text string) string { return strings.ToValidUTF8(text, "\ufffd") }

func (s *scanner) binary(data string) {
	s.out = append(s.out, `{"_binary":true,"base64":"`...)
	s.out = base64.StdEncoding.AppendEncode(s.out, []byte(data))
	s.out = append(s.out, `"}`...)
}

// Extensions of MessagePack that emitters write: dates, and those of before
// there was a type for bytes.
const (
	extTime   = -1
	extLegacy = 0 // one byte: undefined; else bytes
)

func (s *scanner) extension() error {
	kind, n, err := s.decode.DecodeExtHeader()
	if err != nil {
		return err
	}
	data, err := s.take(n)
	switch {
	case err != nil:
		return err
	case kind == extTime:
		return s.time(data)
	case kind == extLegacy && n == 1:
		s.out = append(s.out, "null"...)
	case kind == extLegacy:
		s.binary(data)
	default:
		return errExtension
	}
	return nil
}

// composite appends an array or an object.
func (s *scanner) composite(c byte, depth int) error {
	if depth >= maxDepth {
		return errDeep
	}
	if isArray(c) {
		s.out = append(s.out, '[')
		err := s.array(func(i int) error {
			if i > 0 {
				s.out = append(s.out, ',')
			}
			return s.value(depth + 1)
		})
		s.out = append(s.out, ']')
		return err
	}
	s.out = append(s.out, '{')
	first := true
	err := s.object(func(key string) error {
		if !first {
			s.out = append(s.out, ',')
		}
		first = false
		s.out = append(jsonscan.AppendQuoted(s.out, key), ':')
		return s.value(depth + 1)
	})
	s.out = append(s.out, '}')
	return err
}

// array calls f for each element, which it reads.
func (s *scanner) array(f func(i int) error) error {
	if !isArray(s.peek()) {
		return errKind
	}
	n, err := s.decode.DecodeArrayLen()
	if err == nil && n > s.from.Len() { // an element has a byte at least
		err = errTruncated
	}
	for i := 0; i < n && err == nil; i++ {
		err = f(i)
	}
	return err
}

// object calls f for each field, whose value it reads.
func (s *scanner) object(f func(key string) error) error {
	if !isMap(s.peek()) {
		return errKind
	}
	n, err := s.decode.DecodeMapLen()
	if err == nil && n > s.from.Len()/2 {
		err = errTruncated
	}
	for i := 0; i < n && err == nil; i++ {
		var key string
		if key, err = s.name(); err == nil {
			err = f(key)
		}
	}
	return err
}

// name reads a text, or an integer as one: what may be a key, a room, or an
// event's name.
func (s *scanner) name() (string, error) {
	switch c := s.peek(); {
	case msgpcode.IsString(c):
		n, err := s.decode.DecodeBytesLen()
		if err != nil {
			return "", err
		}
		text, err := s.take(n)
		return valid(text), err
	case isInteger(c):
		begin := len(s.out)
		err := s.integer(c)
		text := string(s.out[begin:])
		s.out = s.out[:begin]
		return text, err
	}
	return "", errKind
}

// skip reads a value and forgets it.
func (s *scanner) skip() error {
	begin := len(s.out)
	err := s.value(0)
	s.out = s.out[:begin]
	return err
}

// null reads a value if it is null.
func (s *scanner) null() bool { return s.peek() == msgpcode.Nil && s.decode.DecodeNil() == nil }
