package router

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Whatever a client says, it is answered, and the gateway goes on. Only a
// publish without an id asks for no reply.
func FuzzEveryMessageIsAnswered(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `{"event":"ping"}`, `{"event":"publish","data":{"room":"open:a","event":"e"}}`,
		`{"event":"publish","id":1,"data":{"room":"open:a","event":"e","data":[1,{"a":null}],"idempotencyKey":"k","conflateKey":"c","echo":false}}`,
		`{"event":"join_room","id":"x","data":{"room":"open:b","since":"AAAAAAAB.0.AAAAAAAA"}}`,
		`{"event":"leave_room","data":{"room":"open:a"}}`, `{"event":"history","data":{"room":"open:a","limit":3}}`,
		`{"event":"presence","data":{"room":"seen:a","page":"z"}}`, `{"event":"gap"}`, `{"event":"\u0070ing","id":-0}`,
		`{"event":"authenticate","data":{"token":"u:ann","since":{"user:ann":"AAAAAAAB.0.AAAAAAAA"}}}`,
		`{"event":"authenticate","data":{"token":"` + "\x7f" + `"}}`, `{"event":"ping","data":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	r := start(f, options{})
	f.Cleanup(r.stop)
	f.Fuzz(func(t *testing.T, message []byte, authenticated bool) {
		if !utf8.Valid(message) {
			return // the transport refuses it
		}
		var c *client
		if authenticated {
			c = r.open(sessionOf("ann"))
			c.Text(join("open:a"))
			c.Next()
			c.Next()
			for f := c.Next(); !strings.Contains(string(f.Payload()), `"event":"room_joined","id":"j"`); {
				f = c.Next()
			}
		} else {
			c = r.stranger()
		}
		defer c.Close(wire.Close{Code: 1000})
		c.Receive(wire.Text, append([]byte(nil), message...))
		c.Text(`{"event":"ping","id":"the end"}`)
		answers := 0
		for {
			f := c.Next()
			if f == nil {
				if why, _ := c.Ended(); why.Code != wire.CloseUnauthenticated || answers == 0 {
					t.Errorf("closed with %v after %d answers", why, answers)
				}
				return
			}
			s := string(f.Payload())
			if strings.HasPrefix(s, `{"event":"pong","id":"the end"`) {
				break
			}
			if strings.Contains(s, `"code":"internal"`) {
				t.Errorf("%s", s)
			}
			answers++
		}
		var req wire.Request
		_ = jsonv1.Codec{}.Decode(wire.Text, message, &req)
		if answers == 0 && (req.Event != wire.EventPublish || req.ID != nil) {
			t.Errorf("no answer to %q", message)
		}
	})
}
