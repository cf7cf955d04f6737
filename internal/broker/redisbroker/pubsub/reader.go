package pubsub

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
)

const (
	maxWords = 16      // of one answer
	maxBulk  = 1 << 28 // bytes of one word
	firstBuf = 1 << 16 // bytes that are made room for before they have come
)

var errMalformed = errors.New("malformed answer")

// refusal is an error that the server answered.
type refusal struct{ reason string }

func (r *refusal) Error() string { return "refused: " + r.reason }

// reader reads what a server of RESP2 says to a connection that subscribes.
type reader struct {
	from    *bufio.Reader
	channel []byte // of the latest, reused
}

// next reads one answer. One that is none of a subscription is an empty
// Received; an error of the server is a *refusal.
func (r *reader) next() (Received, error) {
	line, err := r.line()
	if err != nil {
		return Received{}, err
	}
	switch line[0] {
	case '+', ':':
		return Received{}, nil
	case '-':
		return Received{}, &refusal{string(line[1:])}
	case '*':
		return r.push(line[1:])
	}
	return Received{}, errMalformed
}

// push reads an array: kind, channel, and payload or count.
func (r *reader) push(count []byte) (Received, error) {
	n, err := number(count, maxWords)
	if err != nil || n != 3 {
		return Received{}, errMalformed
	}
	kind, err := r.kind()
	if err != nil {
		return Received{}, err
	}
	got := Received{Kind: kind}
	if r.channel, err = r.bulk(r.channel[:0]); err != nil {
		return Received{}, err
	}
	got.Channel = r.channel
	if kind == Message {
		got.Payload, err = r.bulk(nil)
		return got, err
	}
	line, err := r.line()
	if err == nil && line[0] != ':' {
		err = errMalformed
	}
	return got, err
}

// kind reads the first word of an array.
func (r *reader) kind() (Kind, error) {
	var space [16]byte
	word, err := r.bulk(space[:0])
	if err != nil {
		return 0, err
	}
	switch string(word) {
	case "message", "smessage":
		return Message, nil
	case "subscribe", "ssubscribe":
		return Subscribed, nil
	case "unsubscribe", "sunsubscribe":
		return Unsubscribed, nil
	}
	return 0, errMalformed
}

// bulk appends a word to a buffer. The empty word stands for none, too.
func (r *reader) bulk(to []byte) ([]byte, error) {
	line, err := r.line()
	if err != nil {
		return nil, err
	}
	if line[0] != '$' {
		return nil, errMalformed
	}
	if string(line) == "$-1" {
		return to, nil
	}
	n, err := number(line[1:], maxBulk)
	if err != nil {
		return nil, err
	}
	if to, err = r.fill(to, n); err != nil {
		return nil, err
	}
	var end [2]byte
	if _, err = io.ReadFull(r.from, end[:]); err != nil {
		return nil, err
	}
	if end != [2]byte{'\r', '\n'} {
		return nil, errMalformed
	}
	return to, nil
}

// fill appends n bytes. A length alone does not make it take much memory.
func (r *reader) fill(to []byte, n int) ([]byte, error) {
	for n > 0 {
		part := min(n, max(firstBuf, len(to)))
		start := len(to)
		if cap(to)-start >= part {
			to = to[:start+part]
		} else {
			grown := make([]byte, start+part)
			copy(grown, to)
			to = grown
		}
		if _, err := io.ReadFull(r.from, to[start:]); err != nil {
			return nil, err
		}
		n -= part
	}
	return to, nil
}

// line reads up to the end of a line, without it; at least one byte. It is
// valid until the next read.
func (r *reader) line() ([]byte, error) {
	line, err := r.from.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			err = errMalformed
		}
		return nil, err
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || len(line) == 0 {
		return nil, errMalformed
	}
	return line, nil
}

// number reads a number that is not negative.
func number(b []byte, most int) (int, error) {
	if len(b) == 0 || len(b) > 10 || b[0] == '+' || b[0] == '-' {
		return 0, errMalformed
	}
	n, err := strconv.Atoi(string(b))
	if err != nil || n > most {
		return 0, errMalformed
	}
	return n, nil
}
