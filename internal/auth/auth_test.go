package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestDevelopmentTakesTheCredentialAsTheUserID(t *testing.T) {
	id, err := Development{}.Verify(context.Background(), "ann@example.com", netip.Addr{})
	if err != nil || id.UserID != "ann@example.com" || id.Guest || !id.ExpiresAt.IsZero() || id.Token != DigestOf("ann@example.com") {
		t.Fatalf("got %+v, %v", id, err)
	}
}

func TestDevelopmentRefusesWhatNamesNoUser(t *testing.T) {
	for name, token := range map[string]string{
		"nothing":           "",
		"a guest":           NewGuest().UserID,
		"a control byte":    "ann\x00",
		"a line break":      "ann\nbob",
		"no UTF-8":          "\xff\xfe",
		"too long":          strings.Repeat("a", MaxUserID+1),
		"a C1 control code": "ann\u0085",
	} {
		_, err := Development{}.Verify(context.Background(), token, netip.Addr{})
		var e *wire.Error
		if !errors.As(err, &e) || e.Code != wire.Unauthenticated {
			t.Errorf("%s: got %v", name, err)
		} else if token != "" && strings.Contains(err.Error(), token) {
			t.Errorf("%s: the error repeats the credential", name)
		}
	}
}

func TestATokenKeepsItsNameHoweverItsSignatureIsWritten(t *testing.T) {
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(`{"alg":"HS256"}`)) + "." + b64([]byte(`{"sub":"ann"}`))
	other := b64([]byte(`{"alg":"HS256"}`)) + "." + b64([]byte(`{"sub":"bob"}`))
	for name, c := range map[string]struct {
		a, b string
		same bool
	}{
		"another signature":    {signed + ".AAAA", signed + ".AAAB", true},
		"another payload":      {signed + ".AAAA", other + ".AAAA", false},
		"a text with two dots": {"ann.of.york", "ann.of.kent", false},
		"a text with a dot":    {"ann.york", "ann.kent", false},
		"a part more":          {signed + ".AAAA.A", signed + ".AAAA.B", false},
	} {
		if got := NameOf(c.a) == NameOf(c.b); got != c.same {
			t.Errorf("%s: one name is %v", name, got)
		}
	}
}

func TestGuestsAreManyAndNoUsers(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		g := NewGuest()
		if seen[g.UserID] || !g.Guest || ValidUserID(g.UserID) {
			t.Fatalf("guest %+v", g)
		}
		seen[g.UserID] = true
	}
}
