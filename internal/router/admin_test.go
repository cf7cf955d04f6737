package router

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestABackendMovesConnectionsWhereThePolicyLetsAnybodyBe(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		ann, stranger := r.user("ann"), r.stranger()
		for name, c := range map[string]struct {
			to   Target
			room string
			code wire.Code
		}{
			"nobody in particular":       {Target{}, "open:a", wire.InvalidMessage},
			"a user and a connection":    {Target{User: "ann", Connection: ann.s.ID()}, "open:a", wire.InvalidMessage},
			"a bad room":                 {Target{User: "ann"}, "a b", wire.InvalidMessage},
			"an unknown room":            {Target{User: "ann"}, "nowhere", wire.Forbidden},
			"a room that nobody joins":   {Target{User: "ann"}, "wall", wire.Forbidden},
			"another user's room":        {Target{User: "ann"}, "user:bob", wire.Forbidden},
			"a room below another's":     {Target{Connection: ann.s.ID()}, "user:bob:x", wire.Forbidden},
			"who has not said who it is": {Target{Connection: stranger.s.ID()}, "open:a", wire.Forbidden},
		} {
			if n, err := r.router.Subscribe(t.Context(), c.to, c.room); n != 0 || !wire.IsCode(err, c.code) {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		}
		for _, to := range []Target{{Connection: "gone"}} {
			_, err1 := r.router.Subscribe(t.Context(), to, "open:a")
			_, err2 := r.router.Unsubscribe(to, "open:a")
			err3 := r.router.SendConnection(t.Context(), "gone", Outgoing{Event: "e"})
			for _, err := range []error{err1, err2, err3} {
				if !errors.Is(err, ErrNoConnection) {
					t.Errorf("%+v: %v", to, err)
				}
			}
		}
		stranger.Sent()
		ann.expect()

		if n, err := r.router.Subscribe(t.Context(), Target{User: "ann"}, "named:x"); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		ann.expect(joinedOwn("named:x"))
		ann.ask(`{"event":"publish","id":1,"data":{"room":"named:x","event":"mine"}}`, `{"event":"published","id":1,"data":{"room":"named:x","offset":1…`,
			`{"event":"mine","room":"named:x","offset":1…`)
		for _, c := range []struct {
			room string
			code wire.Code
		}{{"user:ann", wire.Forbidden}, {"a b", wire.InvalidMessage}} {
			if n, err := r.router.Unsubscribe(Target{User: "ann"}, c.room); n != 0 || !wire.IsCode(err, c.code) {
				t.Errorf("%s: %d, %v", c.room, n, err)
			}
		}
		if n, err := r.router.Unsubscribe(Target{User: "ann"}, "named:x"); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		ann.expect(`{"event":"room_left","data":{"room":"named:x","reason":"removed"}}`)
		if n, err := r.router.Unsubscribe(Target{User: "ann"}, "named:x"); n != 0 || err != nil {
			t.Errorf("again: %d, %v", n, err)
		}
		ann.expect()
	})
}

func TestWhatIsSentToOneConnectionComesOnceAndWithoutARoom(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		one, two := r.user("ann"), r.user("ann")
		o := Outgoing{Event: "ding", Data: []byte(`1`), Publisher: "backend", IdempotencyKey: "k"}
		for range 2 {
			if err := r.router.SendConnection(t.Context(), one.s.ID(), o); err != nil {
				t.Error(err)
			}
		}
		o.Data = []byte(`2`)
		if err := r.router.SendConnection(t.Context(), one.s.ID(), o); !wire.IsCode(err, wire.Conflict) {
			t.Errorf("other content with the same key: %v", err)
		}
		if err := r.router.SendConnection(t.Context(), two.s.ID(), o); err != nil {
			t.Errorf("another connection has keys of its own: %v", err)
		}
		synctest.Wait()
		one.expect(`{"event":"ding","data":1}`)
		two.expect(`{"event":"ding","data":2}`)
		// Nobody joins or publishes under the name that it travels by.
		name := wire.ConnectionRoom(one.s.ID())
		two.ask(`{"event":"join_room","id":1,"data":{"room":"`+name+`"}}`, failed("1", "invalid_message"))
		two.ask(`{"event":"publish","id":2,"data":{"room":"`+name+`","event":"e"}}`, failed("2", "invalid_message"))
		one.expect()
	})
}

func TestTheListOfExceptIsBounded(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		many := make([]string, wire.MaxExcept+1)
		for i := range many {
			many[i] = "c"
		}
		for name, except := range map[string][]string{"too many": many, "an empty one": {""}, "a long one": {strings.Repeat("c", 65)}} {
			if _, err := r.router.SendRoom(t.Context(), "news", Outgoing{Event: "e", Except: except}); !wire.IsCode(err, wire.InvalidMessage) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := r.router.SendRoom(t.Context(), "news", Outgoing{Event: "e", Except: many[1:]}); err != nil {
			t.Error(err)
		}
	})
}

func TestABackendReadsWhatARoomKeeps(t *testing.T) {
	inBubble(t, options{router: Config{HistoryBytes: 600}}, func(t *testing.T, r *rig) {
		for range 5 {
			if _, err := r.router.SendRoom(t.Context(), "news", Outgoing{Event: "e", Data: []byte(`"` + strings.Repeat("d", 60) + `"`)}); err != nil {
				t.Fatal(err)
			}
		}
		first, err := r.router.ReadHistory(t.Context(), "news", wire.Position{}, 10)
		if err != nil || len(first.Publications) != 3 || first.At.Offset != 3 || !first.More {
			t.Errorf("%+v, %v", first, err)
		}
		rest, err := r.router.ReadHistory(t.Context(), "news", first.At, 10)
		if err != nil || len(rest.Publications) != 2 || rest.At.Offset != 5 || rest.More {
			t.Errorf("%+v, %v", rest, err)
		}
		for room, code := range map[string]wire.Code{"a b": wire.InvalidMessage, "nowhere": wire.Forbidden, "live:x": wire.Forbidden} {
			if _, err := r.router.ReadHistory(t.Context(), room, wire.Position{}, 1); !wire.IsCode(err, code) {
				t.Errorf("%s: %v", room, err)
			}
		}
	})
}

func TestAnAdmissionEndsWithItsContext(t *testing.T) {
	inBubble(t, options{elsewhere: true, memory: membroker.Config{}}, func(t *testing.T, r *rig) {
		ann := r.open(session.Hello{})
		ann.say(`{"event":"authenticate","data":{"token":"u:ann"}}`)
		ann.Sent()
		r.remote.do(func(ctx context.Context, op, _ string) error {
			if op != "history" {
				return nil
			}
			<-ctx.Done()
			return wire.NewError(wire.Unavailable, "gone")
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := r.router.Subscribe(ctx, Target{User: "ann"}, "open:a")
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !wire.IsCode(err, wire.Unavailable) {
			t.Error(err)
		}
		r.remote.do(nil)
		ann.expect()
		if r.hub.Seated(ann.s, "open:a") {
			t.Error("the session is a member all the same")
		}
	})
}
