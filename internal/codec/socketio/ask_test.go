package socketio

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestAQuestionIsAnEventWithAnID(t *testing.T) {
	for name, c := range map[string]struct {
		namespace, event, data, want string
		parts                        []string
	}{
		"plain":                {"/", "confirm", `{"a": 1}`, `427["confirm",{"a": 1}]`, nil},
		"without data":         {"/", "confirm", ``, `427["confirm",null]`, nil},
		"in a namespace":       {"/chat", "a\"b", `1`, `42/chat,7["a\"b",1]`, nil},
		"with binary data":     {"/chat", "e", `{"_binary":true,"base64":"AQI="}`, `451-/chat,7["e",{"_placeholder":true,"num":0}]`, []string{"\x01\x02"}},
		"with a reserved name": {"/", "connect", `1`, `427["event:connect",1]`, nil},
	} {
		var data []byte
		if c.data != "" {
			data = []byte(c.data)
		}
		f := For(c.namespace).Question(c.event, data, 7)
		parts := f.Parts
		if parts == nil {
			parts = []*wire.Frame{f}
		}
		var got []string
		for _, part := range parts {
			got = append(got, string(part.Payload()))
		}
		if want := append([]string{c.want}, c.parts...); !slices.Equal(got, want) {
			t.Errorf("%s: %q\nwant %q", name, got, want)
		}
	}
	if !Reserved("disconnecting") || Reserved("connected") {
		t.Error("reserved names")
	}
}

func TestAnAnswerIsOneValue(t *testing.T) {
	for text, want := range map[string]string{
		`37[]`:                          ``,
		`37[ ]`:                         ``,
		`37[null]`:                      `null`,
		`37[{"a":[1,2]}]`:               `{"a":[1,2]}`,
		`3/chat,7[1,"b"]`:               `[1,"b"]`,
		`3/chat,7[ 1 , {"c":","} ]  `:   `[1 , {"c":","}]`,
		`37["_placeholder"]`:            `"_placeholder"`,
		`37[{"_placeholder":true}]`:     `{"_placeholder":true}`,
		`39007199254740991["the most"]`: `"the most"`,
	} {
		in := []byte(text)
		p, err := Parse(in)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := p.Answer()
		clear(in) // what is answered outlives the message
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestABinaryAnswerHoldsItsAttachments(t *testing.T) {
	answer := func(text string, parts ...string) (string, error) {
		a := NewAssembler(1000)
		p, _, err := a.Add(wire.Text, []byte(text))
		for _, part := range parts {
			if err == nil {
				p, _, err = a.Add(wire.Binary, []byte(part))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.Answer()
		return string(b), err
	}
	got, err := answer(`62-/chat,7[{"_placeholder":true,"num":1},{"x":{"_placeholder":true,"num":0}}]`, "\x01\x02", "")
	if want := `[{"_binary":true,"base64":""},{"x":{"_binary":true,"base64":"AQI="}}]`; err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	got, err = answer(`61-7[{"_placeholder":true,"num":0}]`, "\x00")
	if want := `{"_binary":true,"base64":"AA=="}`; err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	if got, err = answer(`61-7[{"_placeholder":true,"num":1}]`, "\x00"); !Violation(err) {
		t.Errorf("a placeholder of nothing: %s, %v", got, err)
	}
}

// FuzzAnswer compares with encoding/json.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{`37[]`, `37[1,{"a":[2,"]"]}]`, `3/chat,7[ "a\"," , null ]`, `37[[],[]]`, `37["😀"]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil || p.Type != Ack {
			return
		}
		got, err := p.Answer()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		var args []json.RawMessage
		if err := json.Unmarshal(p.Data, &args); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if len(args) == 0 {
			if got != nil {
				t.Fatalf("%q: %q of nothing", text, got)
			}
			return
		}
		want := p.Data
		if len(args) == 1 {
			want = args[0]
		}
		var a, b bytes.Buffer
		if json.Compact(&a, got) != nil || json.Compact(&b, want) != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
	})
}

func TestOnlyAnAcknowledgementIsAnAnswer(t *testing.T) {
	for _, p := range []Packet{{}, {Type: Event, Data: []byte(`["e"]`)}, {Type: Ack}, {Type: BinaryAck, Data: []byte("[]"), Attachments: 1}} {
		if got, err := p.Answer(); err == nil {
			t.Errorf("%+v: %s", p, got)
		}
	}
}
