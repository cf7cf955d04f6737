package jsonv1

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestDecodeReadsTheEnvelopeAndLeavesDataRaw(t *testing.T) {
	for name, tc := range map[string]struct {
		in              string
		event, id, data string
	}{
		"an event alone":                {`{"event":"ping"}`, "ping", "", ""},
		"all fields":                    {`{"event":"ping","id":7,"data":{"a":1}}`, "ping", "7", `{"a":1}`},
		"fields in any order":           {`{"data":[1],"id":"x","event":"ping"}`, "ping", `"x"`, "[1]"},
		"space between everything":      {" {\n\t\"event\" : \"ping\" ,\r\n \"data\" : [ 1 , 2 ] } ", "ping", "", "[ 1 , 2 ]"},
		"an escaped event":              {`{"event":"p\u0069ng"}`, "ping", "", ""},
		"an escaped key":                {`{"\u0065vent":"ping"}`, "ping", "", ""},
		"an event in another script":    {`{"event":"съобщение"}`, "съобщение", "", ""},
		"the longest event":             {`{"event":"` + strings.Repeat("e", 128) + `"}`, strings.Repeat("e", 128), "", ""},
		"an escape counts as its text":  {`{"event":"` + strings.Repeat(`\u0065`, 128) + `"}`, strings.Repeat("e", 128), "", ""},
		"data null":                     {`{"event":"ping","data":null}`, "ping", "", "null"},
		"data false":                    {`{"event":"ping","data":false}`, "ping", "", "false"},
		"data with a number as written": {`{"event":"ping","data":1.50e+00}`, "ping", "", "1.50e+00"},
		"data with repeated keys":       {`{"event":"ping","data":{"a":1,"a":2}}`, "ping", "", `{"a":1,"a":2}`},
		"data with escapes as written":  {`{"event":"ping","data":"\u00e9\/"}`, "ping", "", `"\u00e9\/"`},
		"data with a key like ours":     {`{"event":"ping","data":{"event":"pong","id":{}}}`, "ping", "", `{"event":"pong","id":{}}`},
		"the deepest data": {
			`{"event":"ping","data":` + nested(jsonscan.MaxDepth-1) + `}`, "ping", "", nested(jsonscan.MaxDepth - 1)},
		"id zero":              {`{"event":"ping","id":0}`, "ping", "0", ""},
		"a negative id":        {`{"event":"ping","id":-5}`, "ping", "-5", ""},
		"the largest id":       {`{"event":"ping","id":9223372036854775807}`, "ping", "9223372036854775807", ""},
		"the smallest id":      {`{"event":"ping","id":-9223372036854775808}`, "ping", "-9223372036854775808", ""},
		"an id of one byte":    {`{"event":"ping","id":"1"}`, "ping", `"1"`, ""},
		"the longest id":       {`{"event":"ping","id":"` + strings.Repeat("i", 64) + `"}`, "ping", `"` + strings.Repeat("i", 64) + `"`, ""},
		"an id with an escape": {`{"event":"ping","id":"\""}`, "ping", `"\""`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var req wire.Request
			if err := (Codec{}).Decode(wire.Text, []byte(tc.in), &req); err != nil {
				t.Fatal(err)
			}
			if req.Event != tc.event || string(req.ID) != tc.id || string(req.Data) != tc.data {
				t.Errorf("%q %q %q", req.Event, req.ID, req.Data)
			}
			if (tc.id == "") != (req.ID == nil) || (tc.data == "") != (req.Data == nil) {
				t.Error("absent fields are nil, present ones are not")
			}
		})
	}
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func TestDecodeRefusesEverythingElse(t *testing.T) {
	long := strings.Repeat("x", 65)
	for name, tc := range map[string]struct {
		in   string
		want error
		id   string
	}{
		"nothing":                     {``, errSyntax, ""},
		"space":                       {" \n", errSyntax, ""},
		"a word":                      {`ping`, errSyntax, ""},
		"an array":                    {`[{"event":"ping"}]`, errSyntax, ""},
		"a string":                    {`"ping"`, errSyntax, ""},
		"two objects":                 {`{"event":"ping"}{"event":"ping"}`, errSyntax, ""},
		"text after the object":       {`{"event":"ping"} x`, errSyntax, ""},
		"an object cut short":         {`{"event":"ping"`, errSyntax, ""},
		"a trailing comma":            {`{"event":"ping",}`, errSyntax, ""},
		"a byte order mark":           {"\ufeff" + `{"event":"ping"}`, errSyntax, ""},
		"broken data":                 {`{"event":"ping","data":[1,}`, errSyntax, ""},
		"broken data after the id":    {`{"id":7,"event":"ping","data":nil}`, errSyntax, "7"},
		"data nested too deeply":      {`{"event":"ping","data":` + nested(jsonscan.MaxDepth) + `}`, errSyntax, ""},
		"no event":                    {`{}`, errNoEvent, ""},
		"no event but an id":          {`{"id":7}`, errNoEvent, "7"},
		"an empty event":              {`{"event":""}`, errNoEvent, ""},
		"an event that is null":       {`{"event":null}`, errNoEvent, ""},
		"an event that is a number":   {`{"event":1}`, errNoEvent, ""},
		"an event that is an object":  {`{"event":{}}`, errNoEvent, ""},
		"an event too long":           {`{"event":"` + strings.Repeat("e", 129) + `"}`, errNoEvent, ""},
		"an unknown field":            {`{"event":"ping","room":"a"}`, errField, ""},
		"an unknown field before id":  {`{"room":"a","id":"x","event":"ping"}`, errField, `"x"`},
		"an empty key":                {`{"event":"ping","":1}`, errField, ""},
		"a key in capitals":           {`{"Event":"ping"}`, errField, ""},
		"another key in capitals":     {`{"event":"ping","DATA":1}`, errField, ""},
		"a key that folds to ours":    {`{"event":"ping","\u0131d":1}`, errField, ""},
		"a key with the kelvin sign":  {`{"event":"ping","\u212aey":1}`, errField, ""},
		"two events":                  {`{"event":"ping","event":"ping"}`, errField, ""},
		"two events, one escaped":     {`{"event":"ping","\u0065vent":"publish"}`, errField, ""},
		"two ids":                     {`{"event":"ping","id":1,"id":2}`, errField, "1"},
		"two data":                    {`{"event":"ping","data":1,"data":2}`, errField, ""},
		"two data, the first null":    {`{"event":"ping","data":null,"data":2}`, errField, ""},
		"an id that is null":          {`{"event":"ping","id":null}`, errRequest, ""},
		"an id that is true":          {`{"event":"ping","id":true}`, errRequest, ""},
		"an id that is an object":     {`{"event":"ping","id":{}}`, errRequest, ""},
		"an id that is a list":        {`{"event":"ping","id":[1]}`, errRequest, ""},
		"an id with a fraction":       {`{"event":"ping","id":1.0}`, errRequest, ""},
		"an id with an exponent":      {`{"event":"ping","id":1e3}`, errRequest, ""},
		"an id above 64 bits":         {`{"event":"ping","id":9223372036854775808}`, errRequest, ""},
		"an id of a hundred digits":   {`{"event":"ping","id":` + strings.Repeat("9", 100) + `}`, errRequest, ""},
		"an empty id":                 {`{"event":"ping","id":""}`, errRequest, ""},
		"an id too long":              {`{"event":"ping","id":"` + long + `"}`, errRequest, ""},
		"an id with a leading zero":   {`{"event":"ping","id":01}`, errSyntax, ""},
		"an id with a plus sign":      {`{"event":"ping","id":+1}`, errSyntax, ""},
		"an event after an empty one": {`{"event":"","event":"ping"}`, errNoEvent, ""},
		"a bad id before a good one":  {`{"event":"ping","id":null,"id":2}`, errRequest, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			req := wire.Request{Event: "stale", ID: []byte("stale"), Data: []byte("stale")}
			err := (Codec{}).Decode(wire.Text, []byte(tc.in), &req)
			// errors.Is compares codes; here it must be this very error.
			if err != tc.want { //nolint:errorlint // exactly this one
				t.Errorf("%v, want %v", err, tc.want)
			}
			if !wire.IsCode(err, wire.InvalidMessage) {
				t.Errorf("%v has another code", err)
			}
			if string(req.ID) != tc.id {
				t.Errorf("the error would name the request %q, want %q", req.ID, tc.id)
			}
		})
	}
}

func TestDecodeRefusesBinaryMessages(t *testing.T) {
	req := wire.Request{ID: []byte("stale")}
	err := (Codec{}).Decode(wire.Binary, []byte(`{"event":"ping","id":1}`), &req)
	if !wire.IsCode(err, wire.InvalidMessage) || req.ID != nil {
		t.Errorf("%v, id %q", err, req.ID)
	}
}

func TestDecodedSlicesPointIntoTheMessage(t *testing.T) {
	in := []byte(`{"event":"ping","id":"x","data":[1]}`)
	var req wire.Request
	if err := (Codec{}).Decode(wire.Text, in, &req); err != nil {
		t.Fatal(err)
	}
	in[bytes.IndexByte(in, 'x')], in[bytes.IndexByte(in, '1')] = 'y', '2'
	if string(req.ID) != `"y"` || string(req.Data) != "[2]" {
		t.Errorf("copied: %q %q", req.ID, req.Data)
	}
}

// clientEvents are the events of gateway.v1 that clients send.
func clientEvents() []string {
	return []string{
		wire.EventAuthenticate, wire.EventJoinRoom, wire.EventLeaveRoom, wire.EventPublish,
		wire.EventHistory, wire.EventPresence, wire.EventPing,
	}
}

func TestDecodingABuiltInEventAllocatesNothing(t *testing.T) {
	for _, name := range clientEvents() {
		in := []byte(`{"event":"` + name + `","id":17,"data":{"room":"chat:lobby","text":"hello"}}`)
		var req wire.Request
		if n := testing.AllocsPerRun(100, func() { _ = (Codec{}).Decode(wire.Text, in, &req) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if req.Event != name {
			t.Errorf("%s is read as %q", name, req.Event)
		}
	}
}

// FuzzDecode compares with encoding/json, read so that it sees every key.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"event":"publish","id":17,"data":{"room":"chat:lobby","event":"message","data":{"text":"hi"}}}`,
		`{"event":"p\u0069ng","id":"\ud83d\ude00","data":null}`, `{"event":"\ud800"}`, `{"EVENT":"x"}`, `{"event":"x","event":"y"}`,
		` { "data" : [ 1 , 2.5e-7 , "\\" ] , "event" : "x" } `, `{"event":"x","id":-0}`, `{"event":"x"}x`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if !utf8.Valid(in) { // the transport refuses those before
			return
		}
		var req wire.Request
		err := (Codec{}).Decode(wire.Text, in, &req)
		if err != nil {
			if !wire.IsCode(err, wire.InvalidMessage) {
				t.Fatalf("%q: %v", in, err)
			}
			return
		}
		keys := keysOf(t, in)
		var back struct {
			Event string          `json:"event"`
			ID    json.RawMessage `json:"id"`
			Data  json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(in, &back); err != nil {
			t.Fatalf("%q was decoded, encoding/json says %v", in, err)
		}
		for key := range keys {
			if key != "event" && key != "id" && key != "data" {
				t.Fatalf("%q was decoded in spite of its key %q", in, key)
			}
		}
		if back.Event != req.Event || keys["event"] != 1 || len(req.Event) > wire.MaxEventName {
			t.Fatalf("%q: event %q, encoding/json says %q", in, req.Event, back.Event)
		}
		if !bytes.Equal(back.ID, req.ID) || !bytes.Equal(back.Data, req.Data) {
			t.Fatalf("%q: %q %q, encoding/json says %q %q", in, req.ID, req.Data, back.ID, back.Data)
		}
		if len(req.ID) > MaxID+2 {
			t.Fatalf("an id of %d bytes", len(req.ID))
		}
	})
}

// keysOf counts the keys of an object, by encoding/json's tokens.
func keysOf(t *testing.T, in []byte) map[string]int {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(in))
	keys := map[string]int{}
	_, err := dec.Token()
	for err == nil && dec.More() {
		var key json.Token
		if key, err = dec.Token(); err == nil {
			name, ok := key.(string)
			if !ok || keys[name] > 0 {
				t.Fatalf("%q was decoded in spite of its key %v", in, key)
			}
			keys[name]++
			var skip json.RawMessage
			err = dec.Decode(&skip)
		}
	}
	if err != nil {
		t.Fatal(errors.Join(errors.New("the message is not what it was decoded as"), err))
	}
	return keys
}

func BenchmarkDecode(b *testing.B) {
	const data = `{"room":"chat:lobby","event":"message","data":{"text":"a message of about a hundred bytes, as the plan has it"}}`
	for _, event := range []string{wire.EventPublish, "quote_request"} {
		b.Run(event, func(b *testing.B) {
			in := []byte(`{"event":"` + event + `","id":17,"data":` + data + `}`)
			var req wire.Request
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				if err := (Codec{}).Decode(wire.Text, in, &req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
