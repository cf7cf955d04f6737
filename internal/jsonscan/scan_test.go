package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestValidAgreesWithEncodingJSON(t *testing.T) {
	for _, in := range []string{
		``, ` `, `{}`, `[]`, `null`, `nul`, `true`, `false`, `01`, `-`, `-0`, `1.`, `1.5`, `1e`, `1e+5`, `1E-5`, `.5`,
		`"a"`, `"a`, `"\u12"`, `"\u12aF"`, `"\x"`, `"tab	"`, `"eight or more bytes of text"`, "\"eight bytes then \x01\"",
		`"quote at the end\""`, `[1,2]`, `[1,]`, `[,1]`, `{"a":1}`, `{"a":1,}`, `{"a"}`, `{a:1}`, `{"a":1 "b":2}`, `[1] x`,
		` [ 1 , { "a" : [ ] } ] `, `{"a":{"b":[true,false,null]}}`,
	} {
		if got, want := Valid([]byte(in)) == nil, json.Valid([]byte(in)); got != want {
			t.Errorf("Valid(%q) = %v, encoding/json says %v", in, got, want)
		}
	}
}

func TestDepthIsBounded(t *testing.T) {
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if err := Valid(deep(MaxDepth)); err != nil {
		t.Errorf("depth %d: %v", MaxDepth, err)
	}
	if err := Valid(deep(MaxDepth + 1)); !errors.Is(err, ErrDepth) {
		t.Errorf("depth %d: %v", MaxDepth+1, err)
	}
}

func TestObjectWalksFields(t *testing.T) {
	var got []string
	f := Object([]byte(` { "a" : 1 , "A":"x", "\u0062":[1,{"c":2}], "d":{} } `))
	for f.Next() {
		got = append(got, string(f.Key)+"="+string(f.Value))
	}
	if want := `a=1 A="x" b=[1,{"c":2}] d={}`; f.Err() != nil || strings.Join(got, " ") != want {
		t.Errorf("got %q, %v, want %q", got, f.Err(), want)
	}
}

func FuzzValid(f *testing.F) {
	f.Add([]byte(`{"event":"x","id":1,"data":{"a":[1,2,"\u00e9"]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !utf8.Valid(b) { // the transport refuses those before
			return
		}
		err := Valid(b)
		if errors.Is(err, ErrDepth) {
			return
		}
		if (err == nil) != json.Valid(b) {
			t.Fatalf("Valid(%q) = %v, encoding/json disagrees", b, err)
		}
		walk := Object(b)
		for walk.Next() {
			if !json.Valid(walk.Value) {
				t.Fatalf("field %q of %q is not JSON: %q", walk.Key, b, walk.Value)
			}
		}
		isObject := err == nil && bytes.TrimLeft(b, " \t\r\n")[0] == '{'
		if (walk.Err() == nil) != isObject {
			t.Fatalf("Object(%q): %v, Valid: %v", b, walk.Err(), err)
		}
	})
}

func FuzzQuote(f *testing.F) {
	f.Add("plain", "with \"quotes\" \\ and \x00 controls é")
	f.Fuzz(func(t *testing.T, a, b string) {
		s := strings.ToValidUTF8(a+b, "")
		raw := AppendQuoted(nil, s)
		if back, ok := Unquote(raw); !ok || back != s || !json.Valid(raw) {
			t.Fatalf("%q became %q became %q", s, raw, back)
		}
	})
}

func BenchmarkObject(b *testing.B) {
	msg := []byte(`{"event":"publish","id":17,"data":{"room":"chat:lobby","event":"message","data":{"text":"a message of about a hundred bytes, as the plan has it, more or less"}}}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		f := Object(msg)
		for f.Next() {
		}
		if f.Err() != nil {
			b.Fatal(f.Err())
		}
	}
}
