package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const first = `{"_placeholder":true,"num":0}`

func TestInlineRefusesWrongPlaceholders(t *testing.T) {
	for name, data := range map[string]string{
		"one that names no attachment":      `["a",{"_placeholder":true,"num":2}]`,
		"one that names a negative":         `["a",{"_placeholder":true,"num":-1}]`,
		"one that names a fraction":         `["a",{"_placeholder":true,"num":0.5}]`,
		"one that names ten":                `["a",{"_placeholder":true,"num":10}]`,
		"one that names a string":           `["a",{"_placeholder":true,"num":"0"}]`,
		"one that names null":               `["a",{"_placeholder":true,"num":null}]`,
		"one that names an object":          `["a",{"_placeholder":true,"num":{}}]`,
		"one without a name":                `["a",{"_placeholder":true}]`,
		"one with another field":            `["a",{"_placeholder":true,"num":0,"x":1}]`,
		"one that names twice":              `["a",{"_placeholder":true,"num":0,"num":1}]`,
		"one that marks twice":              `["a",{"_placeholder":true,"_placeholder":true,"num":0}]`,
		"one that was marked":               `["a",{"_placeholder":true,"_placeholder":false,"num":0}]`,
		"one around another":                `["a",{"_placeholder":true,"num":` + first + `}]`,
		"one beside another in it":          `["a",{"x":` + first + `,"_placeholder":true}]`,
		"two of one attachment":             `["a",` + first + `,` + first + `]`,
		"two of one attachment, one deeper": `["a",` + first + `,[[{"x":` + first + `}]]]`,
	} {
		t.Run(name, func(t *testing.T) {
			p := Packet{Type: BinaryEvent, Attachments: 2, Data: []byte(data), Parts: [][]byte{{1}, {2}}}
			if text, err := p.Inline(); err != error(errAttachments) { //nolint:errorlint // exactly this one
				t.Errorf("%s, %v", text, err)
			}
		})
	}
}

func TestInlinePutsAttachmentsInTheirPlace(t *testing.T) {
	one := `{"_binary":true,"base64":"AQ=="}`
	for in, want := range map[string]string{
		`["a",` + first + `]`:                               `2["a",` + one + `]`,
		`["a",{ "num" : 0 , "_placeholder" : true } ] `:     `2["a",` + one + ` ]`,
		`["a",{"\u005fplaceholder":true,"n\u0075m":0}]`:     `2["a",` + one + `]`,
		`["a",[{"x":{"y":` + first + `,"z":[]}},1],"_"]`:    `2["a",[{"x":{"y":` + one + `,"z":[]}},1],"_"]`,
		`["a",{"_placeholder":false,"num":0},{"num":7}]`:    `2["a",{"_placeholder":false,"num":0},{"num":7}]`,
		`["a",{"_placeholder":"true","num":0}]`:             `2["a",{"_placeholder":"true","num":0}]`,
		`["a","{\"_placeholder\":true,\"num\":0}",{},[]]`:   `2["a","{\"_placeholder\":true,\"num\":0}",{},[]]`,
		`["a",{"_placeholder":true,"num":1},` + first + `]`: `2["a",{"_binary":true,"base64":"Ag=="},` + one + `]`,
		`["a"]`: `2["a"]`, // the reference leaves an attachment out, too
	} {
		p := Packet{Type: BinaryEvent, Attachments: 2, Data: []byte(in), Parts: [][]byte{{1}, {2}}}
		if text, err := p.Inline(); err != nil || string(text) != want {
			t.Errorf("%s\nbecame %s, %v\n  want %s", in, text, err, want)
		}
	}
	ack := Packet{Type: BinaryAck, Namespace: []byte("/chat"), ID: []byte("7"), Attachments: 1, Data: []byte("[" + first + "]"), Parts: [][]byte{{1}}}
	if text, err := ack.Inline(); err != nil || string(text) != "3/chat,7["+one+"]" {
		t.Errorf("%s, %v", text, err)
	}
}

func TestInlineTakesWholeBinaryPacketsAlone(t *testing.T) {
	for name, p := range map[string]Packet{
		"a plain event":    {Type: Event, Data: []byte(`["a"]`)},
		"parts to come":    {Type: BinaryEvent, Attachments: 2, Data: []byte(`["a"]`), Parts: [][]byte{{1}}},
		"no data":          {Type: BinaryEvent, Attachments: 1, Parts: [][]byte{{1}}},
		"data not checked": {Type: BinaryEvent, Attachments: 1, Data: []byte(`["a",{]`), Parts: [][]byte{{1}}},
		"too many parts": {Type: BinaryEvent, Attachments: 11, Data: []byte(`["a",{"_placeholder":true,"num":10}]`),
			Parts: make([][]byte, 11)},
	} {
		if text, err := p.Inline(); err == nil {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestDetachLeavesAloneWhatItMust(t *testing.T) {
	wrapper := `{"_binary":true,"base64":"AQ=="}`
	for name, data := range map[string]string{
		"nothing binary":                 `{"a":1}`,
		"no JSON":                        `{"_binary"`,
		"a mark that is false":           `{"_binary":false,"base64":"AQ=="}`,
		"a mark taken back":              `{"_binary":true,"_binary":false,"base64":"AQ=="}`,
		"another field":                  `{"_binary":true,"base64":"AQ==","x":1}`,
		"no data":                        `{"_binary":true}`,
		"data of another type":           `{"_binary":true,"base64":1}`,
		"data that is an object":         `{"_binary":true,"base64":{}}`,
		"broken base64":                  `{"_binary":true,"base64":"A"}`,
		"base64 with a line break":       `{"_binary":true,"base64":"AQ==\n"}`,
		"base64 with stray bits":         `{"_binary":true,"base64":"Ad=="}`,
		"text that looks like it":        `"{\"_binary\":true,\"base64\":\"AQ==\"} \"_binary\""`,
		"a placeholder of its own":       `[` + wrapper + `,{"_placeholder":true,"num":9}]`,
		"a placeholder, written so":      `[` + wrapper + `,{"\u005fplaceholder":true}]`,
		"a placeholder around":           `{"_placeholder":true,"num":` + wrapper + `}`,
		"a placeholder beside":           `{"x":` + wrapper + `,"_placeholder":true}`,
		"more than the protocol carries": `[` + strings.Repeat(wrapper+`,`, MaxAttachments) + wrapper + `]`,
		"too deep":                       strings.Repeat("[", 65) + wrapper + strings.Repeat("]", 65),
	} {
		if rest, parts := Detach([]byte(data)); string(rest) != data || parts != nil {
			t.Errorf("%s: %s, %d parts", name, rest, len(parts))
		}
	}
}

func TestDetachTakesBinaryDataOut(t *testing.T) {
	for data, want := range map[string]string{
		`{"_binary":true,"base64":"AQ=="}`:                           first,
		` { "base64" : "AQ==" , "_binary" : true } `:                 ` ` + first + ` `,
		`{"_binary":true,"base64":"\u0041Q=="}`:                      first,
		`{"a":[{"_binary":true,"base64":"AQ=="},{"_binary":false}]}`: `{"a":[` + first + `,{"_binary":false}]}`,
	} {
		rest, parts := Detach([]byte(data))
		if string(rest) != want || len(parts) != 1 || !bytes.Equal(parts[0], []byte{1}) {
			t.Errorf("%s became %s, %x", data, rest, parts)
		}
	}
	// Others, such as PHP, escape the slash.
	if _, parts := Detach([]byte(`{"_binary":true,"base64":"\/\/8="}`)); len(parts) != 1 || !bytes.Equal(parts[0], []byte{0xff, 0xff}) {
		t.Errorf("%x", parts)
	}
}

func TestTheAssemblerRefusesWhatComesOutOfOrder(t *testing.T) {
	text, binary := wire.Text, wire.Binary
	type m struct {
		op   wire.Op
		data string
	}
	for name, tc := range map[string]struct {
		messages []m
		want     error
	}{
		"an attachment of nothing":      {[]m{{binary, "x"}}, errOrder},
		"an attachment after the last":  {[]m{{text, `51-["a",` + first + `]`}, {binary, "x"}, {binary, "y"}}, errOrder},
		"text instead of an attachment": {[]m{{text, `51-["a",` + first + `]`}, {text, `2["a"]`}}, errOrder},
		"text after one attachment":     {[]m{{text, `52-["a",` + first + `]`}, {binary, "x"}, {text, `2["a"]`}}, errOrder},
		"a binary packet unchecked":     {[]m{{text, `51-["a"`}}, errData},
		"a reserved binary event":       {[]m{{text, `51-["disconnect"]`}}, errReserved},
		"a head too large":              {[]m{{text, `51-["` + strings.Repeat("a", 100) + `"]`}}, errTooLarge},
		"an attachment too large":       {[]m{{text, `51-["a"]`}, {binary, strings.Repeat("x", 93)}}, errTooLarge},
		"attachments too large":         {[]m{{text, `52-["a"]`}, {binary, strings.Repeat("x", 50)}, {binary, strings.Repeat("x", 50)}}, errTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			a := NewAssembler(100)
			var err error
			for i, m := range tc.messages {
				if err != nil {
					t.Fatalf("message %d: %v", i, err)
				}
				_, _, err = a.Add(m.op, []byte(m.data))
			}
			if err != tc.want || !Violation(err) { //nolint:errorlint // exactly this one
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

func TestTheAssemblerKeepsNothingOfTheTransports(t *testing.T) {
	a := NewAssembler(100)
	head, part := []byte(`51-7["a",`+first+`]`), []byte{1}
	if _, ok, err := a.Add(wire.Text, head); ok || err != nil {
		t.Fatal(ok, err)
	}
	clear(head)
	p, ok, err := a.Add(wire.Binary, part)
	part[0] = 9
	if !ok || err != nil || string(p.ID) != "7" || !bytes.Equal(p.Parts[0], []byte{1}) || p.Check() != nil {
		t.Errorf("%+v, %v, %v", p, ok, err)
	}
	if p, ok, err := a.Add(wire.Text, []byte(`2["a"]`)); !ok || err != nil || p.Type != Event {
		t.Errorf("the next packet: %+v, %v, %v", p, ok, err)
	}
}

func TestAnIdleAssemblerIsSmall(t *testing.T) {
	if size := reflect.TypeFor[Assembler]().Size(); size > 16 {
		t.Errorf("%d bytes", size)
	}
	a := NewAssembler(1 << 10)
	in := []byte(`217["join_room",{"room":"a"}]`)
	if n := testing.AllocsPerRun(100, func() { _, _, _ = a.Add(wire.Text, in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzAssembler plays a connection: text and binary messages in turn.
func FuzzAssembler(f *testing.F) {
	for _, tc := range readGolden(f).Packets {
		parts := make([]byte, 0, len(tc.Parts))
		for _, part := range tc.Parts {
			parts = append(append(parts, unhex(f, part)...), '|')
		}
		f.Add([]byte(tc.Text), parts)
	}
	f.Add([]byte(`52-["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":1}]`), []byte("a|b"))
	f.Add([]byte(`51-["a",{"x":[{"_placeholder":true,"num":0},{"_placeholder":true}]}]`), []byte("a"))
	f.Fuzz(func(t *testing.T, text, binary []byte) {
		if !utf8.Valid(text) {
			return
		}
		const limit = 4096
		a := NewAssembler(limit)
		p, ok, err := a.Add(wire.Text, text)
		for part := range bytes.SplitSeq(binary, []byte("|")) {
			if err != nil || ok {
				break
			}
			p, ok, err = a.Add(wire.Binary, part)
		}
		if err != nil {
			if !Violation(err) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if !ok || !p.Type.Binary() {
			return
		}
		if p.Check() != nil || len(p.Parts) != p.Attachments || len(p.Parts) > MaxAttachments {
			t.Fatalf("%q: %+v", text, p)
		}
		plain, err := p.Inline()
		if err != nil {
			if !Violation(err) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if got, err := Parse(plain); err != nil || len(plain) > 2*limit+MaxAttachments*64 || !bytes.Equal(got.ID, p.ID) || got.IsEvent() != p.IsEvent() {
			t.Fatalf("%q became %q, %v", text, plain, err)
		}
	})
}

// FuzzDetach compares with a decoder of encoding/json's values.
func FuzzDetach(f *testing.F) {
	for _, s := range []string{
		`{"_binary":true,"base64":"AQID"}`, `[{"_binary":true,"base64":""},{"x":{"base64":"/w==","_binary":true}}]`, `{"_binary":true,"base64":"A"}`,
		`{"a":{"_binary":true,"base64":"AQ=="},"_binary":true,"base64":"AQ=="}`, `[{"_placeholder":true,"num":0},{"_binary":true,"base64":"AQ=="}]`,
		`"_binary"`, `{"_binary":1}`, `[` + strings.Repeat(`{"_binary":true,"base64":"AQ=="},`, 10) + `{"_binary":true,"base64":"AQ=="}]`,
		` [ { "_binary" : true , "base64" : "AQ==" } , [ ] , { } , -1.5e3 , null ] `,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) {
			return
		}
		rest, parts := Detach(data)
		if len(parts) == 0 {
			if !bytes.Equal(rest, data) {
				t.Fatalf("%q became %q", data, rest)
			}
			return
		}
		if len(parts) > MaxAttachments || !json.Valid(rest) {
			t.Fatalf("%q became %q and %d parts", data, rest, len(parts))
		}
		// A client's reading must find each part once, and nothing else.
		seen := 0
		back := restored(t, value(t, rest), parts, &seen)
		if seen != len(parts) || !reflect.DeepEqual(back, value(t, data)) {
			t.Fatalf("%q became %q, which a client reads as %v", data, rest, back)
		}
		p := Packet{Type: BinaryAck, ID: []byte("1"), Attachments: len(parts), Data: []byte("[" + string(rest) + "]"), Parts: parts}
		text, err := p.Inline()
		if err != nil && !strings.Contains(fmt.Sprint(err), "64 deep") {
			t.Fatalf("%q: %v", data, err)
		}
		if err == nil && !reflect.DeepEqual(value(t, text[2:]), []any{value(t, data)}) {
			t.Fatalf("%q came back as %q", data, text)
		}
	})
}

func value(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // some are too large for a float64
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	return v
}

// restored puts wrappers in the place of placeholders, as the reference does
// with buffers.
func restored(t *testing.T, v any, parts [][]byte, seen *int) any {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = restored(t, v[i], parts, seen)
		}
	case map[string]any:
		if v["_placeholder"] == true {
			num, err := strconv.Atoi(fmt.Sprint(v["num"]))
			if err != nil || num >= len(parts) {
				t.Fatalf("%v is no placeholder", v)
			}
			*seen++
			return map[string]any{"_binary": true, "base64": string(encoded(parts[num]))}
		}
		for k := range v {
			v[k] = restored(t, v[k], parts, seen)
		}
	}
	return v
}

func encoded(part []byte) []byte {
	raw, _ := json.Marshal(part) // a byte slice is base64 in JSON
	return bytes.Trim(raw, `"`)
}

func BenchmarkInline(b *testing.B) {
	p := Packet{Type: BinaryEvent, Attachments: 1, Data: []byte(`["file",{"name":"a.bin","body":` + first + `}]`), Parts: [][]byte{make([]byte, 1024)}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Inline(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDetach(b *testing.B) {
	p := Packet{Type: BinaryAck, ID: []byte("1"), Attachments: 1, Data: []byte(`[{"name":"a.bin","body":` + first + `}]`), Parts: [][]byte{make([]byte, 1024)}}
	text, err := p.Inline()
	if err != nil {
		b.Fatal(err)
	}
	for name, data := range map[string][]byte{"a part": text[2:], "no binary data": []byte(`{"text":"a message without binary data in it"}`)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Detach(data)
			}
		})
	}
}
