package jsonscan

import (
	"errors"
	"strings"
	"testing"
)

func TestObjectRefusesWhatIsNoObject(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":                ``,
		"space":                  " \t\r\n",
		"an array":               `[]`,
		"a string":               `"{}"`,
		"an open bracket":        `{`,
		"an open empty one":      `{ `,
		"a comma at once":        `{,"a":1}`,
		"a comma at the end":     `{"a":1,}`,
		"no comma":               `{"a":1 "b":2}`,
		"two commas":             `{"a":1,,"b":2}`,
		"a key without quotes":   `{a:1}`,
		"a number as key":        `{1:1}`,
		"an open key":            `{"a`,
		"a key alone":            `{"a"}`,
		"a key and the end":      `{"a"`,
		"a colon and the end":    `{"a":`,
		"no value":               `{"a":}`,
		"a broken value":         `{"a":tru}`,
		"a value cut short":      `{"a":[1,`,
		"an element and the end": `{"a":[1`,
		"a nested key alone":     `{"a":{"b"}}`,
		"a bad escape in a key":  `{"\x":1}`,
		"a lone backslash":       `{"a":"\`,
		"text after the end":     `{"a":1}1`,
		"text after an empty":    `{}{}`,
		"the wrong bracket":      `{"a":1]`,
	} {
		t.Run(name, func(t *testing.T) {
			f := Object([]byte(in))
			for f.Next() {
			}
			if !errors.Is(f.Err(), ErrSyntax) {
				t.Errorf("%q: %v", in, f.Err())
			}
			if f.Next() {
				t.Error("the walk goes on after its error")
			}
		})
	}
}

func TestObjectIsAsDeepAsValid(t *testing.T) {
	object := func(depth int) []byte {
		return []byte(`{"a":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`)
	}
	for depth, want := range map[int]error{MaxDepth: nil, MaxDepth + 1: ErrDepth} {
		f := Object(object(depth))
		for f.Next() {
		}
		if !errors.Is(f.Err(), want) || !errors.Is(Valid(object(depth)), want) {
			t.Errorf("depth %d: Object says %v, Valid %v", depth, f.Err(), Valid(object(depth)))
		}
	}
}

func TestAnEmptyObjectHasNoFields(t *testing.T) {
	for _, in := range []string{`{}`, ` { } `} {
		f := Object([]byte(in))
		if f.Next() || f.Err() != nil {
			t.Errorf("%q: %q, %v", in, f.Key, f.Err())
		}
	}
}

func TestUnquoteTakesStringsAlone(t *testing.T) {
	for raw, want := range map[string]string{
		`""`: "", `"a"`: "a", `"\u00e9\n\""`: "é\n\"", `"\ud83d\ude00"`: "😀", `"\ud800"`: "\ufffd",
	} {
		if got, ok := Unquote([]byte(raw)); !ok || got != want {
			t.Errorf("%s: %q, %v", raw, got, ok)
		}
	}
	for _, raw := range []string{``, `"`, `1`, `12`, `null`, `{}`, `["a"]`} {
		if got, ok := Unquote([]byte(raw)); ok {
			t.Errorf("%s: %q", raw, got)
		}
	}
}

func TestWalkingAllocatesNothing(t *testing.T) {
	in := []byte(`{"event":"publish","id":17,"data":{"room":"a","list":[1,2.5e-7,true,null,"\u00e9"]}}`)
	if n := testing.AllocsPerRun(100, func() {
		f := Object(in)
		for f.Next() {
		}
		if f.Err() != nil || Valid(in) != nil {
			t.Fatal("not valid")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
