package streams

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func FuzzCommands(f *testing.F) {
	for _, seed := range []string{
		`op|publish|room|news|event|e|data|{"n":1}`, `op|publish|everyone|true|event|e|except|["a"]`, `op|revoke|user|a|until|1`,
		`op|subscribe|user|a|room|user:a`, `op|disconnect|connection|c`, `op`, `|`, `op|revoke|token|x`, "op|publish|event|\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		c, err := parse(strings.Split(entry, "|"), 100)
		var told *wire.Error
		if err != nil {
			if !errors.As(err, &told) {
				t.Fatalf("%q: %v", entry, err)
			}
			return
		}
		lanes := c.lanes()
		if len(lanes) > 2 || len(lanes) == 0 && c.token == "" || len(lanes) == 2 && lanes[0] == lanes[1] {
			t.Errorf("%q: lanes %q", entry, lanes)
		}
		if c.out.Data != nil && !json.Valid(c.out.Data) || len(c.out.Data) > 100 {
			t.Errorf("%q: data %q", entry, c.out.Data)
		}
	})
}

func TestAnswersThatAreNoEntriesAreFaults(t *testing.T) {
	for name, reply := range map[string][]any{
		"nothing":            {},
		"no list":            {"x", int64(0), ""},
		"no length":          {[]any{}, "x", ""},
		"no end":             {[]any{}, int64(0), int64(1)},
		"no entry":           {[]any{"x"}, int64(0), ""},
		"an empty entry":     {[]any{[]any{}}, int64(0), ""},
		"an id of a number":  {[]any{[]any{int64(1), []any{}}}, int64(0), ""},
		"fields of a number": {[]any{[]any{"1-1", int64(1)}}, int64(0), ""},
		"a field of numbers": {[]any{[]any{"1-1", []any{int64(1), "x"}}}, int64(0), ""},
		"no deliveries":      {[]any{[]any{"1-1", []any{}}}, int64(0), "", "x"},
		"too few of them":    {[]any{[]any{"1-1", []any{}}}, int64(0), "", []any{}},
		"none of a number":   {[]any{[]any{"1-1", []any{}}}, int64(0), "", []any{"x"}},
	} {
		if _, _, err := parseReply(reply); !errors.Is(err, errReply) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, length, err := parseReply([]any{[]any{[]any{"1-1", []any{"op", "x"}}, []any{"1-2", nil}}, int64(9), "", []any{int64(2), int64(3)}})
	if err != nil || length != 9 || len(got.entries) != 2 || got.entries[0].deliveries != 2 || got.entries[1].fields != nil || got.entries[1].deliveries != 3 {
		t.Errorf("%+v, %d, %v", got, length, err)
	}
}
