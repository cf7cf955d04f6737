package socketio

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestAuthReadsWhatTheGatewayKnows(t *testing.T) {
	for data, want := range map[string]Auth{
		``:                                  {},
		`{}`:                                {},
		`{"token":"t"}`:                     {Token: "t"},
		`{"token":"\u0074\n"}`:              {Token: "t\n"},
		`{"token":null,"since":null}`:       {},
		`{"other":1,"Token":"x"}`:           {},
		`{"other":1,"other":2}`:             {}, // the application's own
		`{"pid":"p","offset":"o"}`:          {PID: "p", Offset: "o"},
		`{"since":{"a":"b"}, "token":"t" }`: {Token: "t", Since: []byte(`{"a":"b"}`)},
	} {
		p, err := Parse([]byte("0" + data))
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Auth()
		if err != nil || got.Token != want.Token || got.PID != want.PID || got.Offset != want.Offset || string(got.Since) != string(want.Since) {
			t.Errorf("%s: %+v, %v", data, got, err)
		}
		if (got.Since == nil) != (want.Since == nil) {
			t.Errorf("%s: since %q", data, got.Since)
		}
	}
}

func TestAuthRefusesWhatTwoReadersCouldReadInTwoWays(t *testing.T) {
	for _, data := range []string{
		`{"token":"secret","token":"other"}`, `{"token":null,"token":"secret"}`, `{"t\u006fken":"secret","token":"secret"}`, `{"token":1}`,
		`{"token":{"a":"secret"}}`, `{"token":["secret"]}`, `{"token":true}`, `{"pid":1}`, `{"offset":7}`, `{"since":"secret"}`, `{"since":[]}`,
		`{"since":{},"since":{}}`, `{"pid":"a","pid":"b"}`,
	} {
		p, err := Parse([]byte("0" + data))
		if err != nil {
			t.Fatal(err)
		}
		auth, err := p.Auth()
		if !wire.IsCode(err, wire.InvalidMessage) || auth.Token != "" || auth.Since != nil {
			t.Errorf("%s: %+v, %v", data, auth, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", data, err)
		}
	}
	if _, err := (Packet{Type: Event, Data: []byte(`{"token":"t"}`)}).Auth(); err == nil {
		t.Error("an event has an auth")
	}
	if _, err := (Packet{Type: Connect, Data: []byte(`{"token"`)}).Auth(); err == nil {
		t.Error("broken data has an auth")
	}
}

func FuzzAuth(f *testing.F) {
	for _, s := range []string{``, `{}`, `{"token":"t","since":{"a":"b"}}`, `{"token":"t","token":"u"}`, `{"pid":"\ud800","offset":null}`, `{"since":`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) {
			return
		}
		if len(data) == 0 {
			data = nil
		}
		auth, err := Packet{Type: Connect, Data: data}.Auth()
		if err != nil {
			if !wire.IsCode(err, wire.InvalidMessage) {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		if len(auth.Token)+len(auth.PID)+len(auth.Offset)+len(auth.Since) > 3*len(data) {
			t.Fatalf("%q: %+v", data, auth)
		}
		if len(auth.Since) > 0 && auth.Since[0] != '{' {
			t.Fatalf("%q: since %q", data, auth.Since)
		}
	})
}
