package abuse

import (
	"strings"
	"testing"
)

// TestMessagesThatNobodyShouldSend are answered with an error each, and the
// connection goes on.
func TestMessagesThatNobodyShouldSend(t *testing.T) {
	deep := func(n int, a, b string) string { return strings.Repeat(a, n) + strings.Repeat(b, n) }
	publish := func(event string) string {
		return `{"event":"publish","id":7,"data":{"room":"room","event":"` + event + `","data":{"url":"wss://evil.example"}}}`
	}
	reserved := []string{}
	for _, event := range []string{
		"connected", "authenticated", "error", "room_joined", "room_left", "published", "pong", "member_joined", "member_left",
		"token_expiring", "gap", "reconnect", "authenticate", "join_room", "leave_room", "publish", "history", "presence", "ping",
		`reconn\u0065ct`,
	} {
		reserved = append(reserved, publish(event))
	}
	for name, tc := range map[string]struct {
		code     string
		messages []string
	}{
		"deep JSON": {"invalid_message", []string{
			`{"event":"ping","data":` + deep(30_000, "[", "]") + `}`,
			`{"event":"ping","data":` + deep(5_000, `{"a":`, "") + "1" + strings.Repeat("}", 5_000) + `}`,
			deep(30_000, "[", "]"),
			`{"event":"ping","data":` + strings.Repeat("[", 60_000) + `}`,
		}},
		"duplicate keys": {"invalid_message", []string{
			`{"event":"ping","event":"publish"}`, `{"id":1,"event":"ping","id":2}`, `{"event":"ping","data":{},"data":{}}`,
			`{"event":"ping","e\u0076ent":"publish"}`,
			`{"event":"publish","id":7,"data":{"room":"room","room":"user:ann","event":"e","data":1}}`,
		}},
		"differently-cased keys": {"invalid_message", []string{
			`{"Event":"ping"}`, `{"event":"ping","EVENT":"publish"}`, `{"event":"ping","Data":{}}`, `{"event":"ping","ID":1}`,
			`{"event":"publish","id":7,"data":{"Room":"room","event":"e","data":1}}`,
			`{"event":"publish","id":7,"data":{"room":"room","event":"e","Event":"gap","data":1}}`,
		}},
		"a reserved event": {"forbidden", reserved},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			a := start(t, open)
			abuse := func() {
				victim, c := a.dial(t, "victim"), a.dial(t, "forger")
				defer victim.cut()
				defer c.cut()
				for _, one := range []*client{victim, c} {
					one.send(t, `{"event":"join_room","id":1,"data":{"room":"room"}}`)
					one.until(t, "room_joined")
				}
				for _, m := range tc.messages {
					c.send(t, m)
					if f := c.read(t).failure(t); f.Code != tc.code || f.Retryable {
						t.Errorf("%.60s: %+v", m, f)
					}
				}
				c.send(t, publish("honest"))
				c.until(t, "published")
				if m := victim.read(t); m.Event != "honest" {
					t.Errorf("the victim got %s %.60s", m.Event, m.Data)
				}
			}
			before := a.baseline(t, abuse)
			for range 10 {
				abuse()
			}
			a.settled(t, before)
		})
	}
}
