package emitter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

var errDate = errors.New("a malformed date")

// maxDate is the last moment that JavaScript knows, in milliseconds from 1970
// on; the first is as far before it.
const maxDate = 8_640_000_000_000_000

// time appends a timestamp, the extension -1 of MessagePack, as JavaScript
// writes a Date in JSON; null for a moment that it does not know.
func (s *scanner) time(data string) error {
	seconds, nanos, err := timestamp([]byte(data))
	if err != nil {
		return err
	}
	if seconds < -maxDate/1000 || seconds >= maxDate/1000 {
		s.out = append(s.out, "null"...)
		return nil
	}
	at := time.Unix(seconds, nanos).UTC()
	year := fmt.Sprintf("%04d", at.Year())
	if at.Year() < 0 || at.Year() > 9999 {
		year = fmt.Sprintf("%+07d", at.Year())
	}
	s.out = append(append(s.out, '"'), year...)
	s.out = at.AppendFormat(s.out, `-01-02T15:04:05.000Z"`)
	return nil
}

// timestamp reads the three forms, of 4, 8 and 12 bytes.
func timestamp(b []byte) (seconds, nanos int64, err error) {
	switch len(b) {
	case 4:
		return int64(binary.BigEndian.Uint32(b)), 0, nil
	case 8:
		v := binary.BigEndian.Uint64(b)
		seconds, nanos = int64(v&(1<<34-1)), int64(v>>34)
	case 12:
		nanos = int64(binary.BigEndian.Uint32(b))
		seconds = int64(binary.BigEndian.Uint64(b[4:])) //nolint:gosec // it is signed
	default:
		return 0, 0, errDate
	}
	if nanos >= int64(time.Second) {
		return 0, 0, errDate
	}
	return seconds, nanos, nil
}
