package httpapi

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzPublication holds the decoder of publications to encoding/json: what it
// takes is JSON, has only known fields, and comes out as encoding/json reads it.
func FuzzPublication(f *testing.F) {
	for _, seed := range []string{
		`{"room":"lobby","event":"e","data":{"a":[1,2.5e3,null,"\u00e9"]},"idempotencyKey":"k","conflateKey":"c","except":["x"]}`,
		`{"everyone":true,"event":"\ud800"}`, `{"user":"ann"} `, `{"user":"a","user":"b"}`, `{"User":"a"}`, `[]`, `{"except":[1]}`, `{"data":`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !utf8.Valid(body) { // refused before
			return
		}
		var p publication
		if err := p.fields(0).read(body); err != nil {
			return
		}
		var want struct {
			Room, User, Connection, Event string
			Everyone                      bool
			IdempotencyKey, ConflateKey   string
			Data                          json.RawMessage
			Except                        []string
		}
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		if p.room != want.Room || p.user != want.User || p.connection != want.Connection || p.everyone != want.Everyone ||
			p.out.Event != want.Event || p.out.IdempotencyKey != want.IdempotencyKey || p.out.ConflateKey != want.ConflateKey ||
			string(p.out.Data) != string(want.Data) || len(p.out.Except) != len(want.Except) {
			t.Errorf("%q was read as %+v", body, p)
		}
	})
}
