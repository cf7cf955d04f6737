package router

import (
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestWhoWouldNotBeWelcomeIsToldBefore(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		limits := limit.New(limit.Config{MaxPerUser: 1})
		hello := func(user, since string) session.Hello {
			account, _ := limits.Open(session.Hello{}.Peer)
			return session.Hello{Identity: &auth.Identity{UserID: user}, Since: []byte(since), Account: account}
		}
		if _, err := r.router.Revoke(Revocation{User: "bad", Until: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		first := hello("ann", `{}`)
		for i, want := range []struct {
			hello session.Hello
			code  wire.Code
		}{
			{first, ""},
			{first, ""}, // the connection is counted already
			{hello("ann", `{}`), wire.LimitExceeded},
			{hello("bad", `{}`), wire.Unauthenticated},
			{hello("bob", `{"room":"nowhere"}`), wire.InvalidMessage},
			{hello("bob", `{}`), ""},
		} {
			if err := r.router.Admits(t.Context(), want.hello); (err != nil) != (want.code != "") || err != nil && !wire.IsCode(err, want.code) {
				t.Errorf("%d: %v", i, err)
			}
		}
		guest := auth.NewGuest()
		account, _ := limits.Open(session.Hello{}.Peer)
		if err := r.router.Admits(t.Context(), session.Hello{Identity: &guest, Account: account}); err != nil {
			t.Errorf("a guest: %v", err)
		}
	})
}
