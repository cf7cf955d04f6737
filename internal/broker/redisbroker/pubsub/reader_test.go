package pubsub

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func reading(s string) *reader { return &reader{from: bufio.NewReader(strings.NewReader(s))} }

func TestWhatASubscriptionReceivesIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want Received
	}{
		"a message":              {"*3\r\n$7\r\nmessage\r\n$2\r\nab\r\n$5\r\nhe\r\no\r\n", Received{Kind: Message, Channel: []byte("ab"), Payload: []byte("he\r\no")}},
		"a sharded message":      {"*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$0\r\n\r\n", Received{Kind: Message, Channel: []byte("a")}},
		"a subscription":         {"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", Received{Kind: Subscribed, Channel: []byte("a")}},
		"a sharded subscription": {"*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n", Received{Kind: Subscribed, Channel: []byte("a")}},
		"an end":                 {"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n", Received{Kind: Unsubscribed, Channel: []byte("a")}},
		"an end of everything":   {"*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n", Received{Kind: Unsubscribed}},
		"an answer":              {"+OK\r\n", Received{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := reading(c.raw).next()
			if err != nil || got.Kind != c.want.Kind || !bytes.Equal(got.Channel, c.want.Channel) || !bytes.Equal(got.Payload, c.want.Payload) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestAPayloadMayBeKept(t *testing.T) {
	one := "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\none\r\n"
	r := reading(one + strings.ReplaceAll(one, "one", "two"))
	first, _ := r.next()
	if _, err := r.next(); err != nil || string(first.Payload) != "one" {
		t.Errorf("%s, %v", first.Payload, err)
	}
}

func TestARefusalIsNoEndOfTheConnection(t *testing.T) {
	c := &Conn{read: reading("-MOVED 3999 127.0.0.1:6381\r\n+OK\r\n")}
	got, err := c.Receive()
	if err != nil || got.Kind != Refused || !got.Moved() {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.Receive(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsMalformedIsAnError(t *testing.T) {
	for _, raw := range []string{
		"\r\n", "x\r\n", "*2\r\n$7\r\nmessage\r\n$1\r\na\r\n", "*3\r\n$4\r\nwhat\r\n$1\r\na\r\n:1\r\n", "*-1\r\n",
		"*3\r\n:1\r\n$1\r\na\r\n:1\r\n", "*3\r\n$7\r\nmessage\r\n$1\r\nabc\r\n", "*3\r\n$99999999999\r\n", "+OK\n",
		"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n$1\r\n1\r\n",
	} {
		if got, err := reading(raw).next(); !errors.Is(err, errMalformed) {
			t.Errorf("%q: %+v, %v", raw, got, err)
		}
	}
	if _, err := reading("*3\r\n$7\r\nmess").next(); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("error %v", err)
	}
}

func TestALongMessageIsReadInParts(t *testing.T) {
	long := strings.Repeat("x", 3*firstBuf+7)
	got, err := reading("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$196615\r\n" + long + "\r\n").next()
	if err != nil || string(got.Payload) != long {
		t.Errorf("%d bytes, %v", len(got.Payload), err)
	}
}

func FuzzNext(f *testing.F) {
	f.Add([]byte("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\none\r\n-ERR no\r\n:1\r\n"))
	f.Add([]byte("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$268435456\r\none"))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		r := &reader{from: bufio.NewReader(bytes.NewReader(raw))}
		for range raw {
			if _, err := r.next(); err != nil && !refused(err) {
				return
			}
		}
	})
}
