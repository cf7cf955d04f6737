package socketio

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// golden is testdata/golden.json: what the reference implementation says.
type golden struct {
	Packets []goldenPacket
	Texts   [][]any // text, accepted, type, namespace, id, data, attachments
	Frames  map[string]map[string]string
	Client  [][2]string // "text" or "binary" in hex, as the client sent it
}

type goldenPacket struct {
	Type          Type
	Nsp, ID, Data string // Data has wrappers in the place of binary data
	Text          string
	Parts         []string // hex
}

func readGolden(t testing.TB) golden {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// equalJSON compares two JSON texts as values; "" is none.
func equalJSON(t testing.TB, a, b string) bool {
	t.Helper()
	if a == "" || b == "" {
		return a == b
	}
	canonical := func(s string) string {
		var v any
		if err := json.Unmarshal([]byte(s), &v); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	return canonical(a) == canonical(b)
}

func namespaceOf(p Packet) string { return For(string(p.Namespace)).Namespace() }

// assembled puts a packet's messages together.
func assembled(t *testing.T, text string, parts [][]byte) Packet {
	t.Helper()
	a := NewAssembler(1 << 20)
	p, ok, err := a.Add(wire.Text, []byte(text))
	for i, part := range parts {
		if ok || err != nil || !a.Pending() {
			t.Fatalf("%q before part %d: %v, %v", text, i, ok, err)
		}
		p, ok, err = a.Add(wire.Binary, part)
	}
	if !ok || err != nil || a.Pending() {
		t.Fatalf("%q: %v, %v", text, ok, err)
	}
	return p
}

func TestPacketsOfTheReferenceAreRead(t *testing.T) {
	cases := readGolden(t).Packets
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, tc := range cases {
		var parts [][]byte
		for _, part := range tc.Parts {
			parts = append(parts, unhex(t, part))
		}
		p := assembled(t, tc.Text, parts)
		if err := p.Check(); err != nil {
			t.Errorf("%q: %v", tc.Text, err)
			continue
		}
		if string(p.ID) != tc.ID || namespaceOf(p) != tc.Nsp || len(p.Parts) != len(parts) || p.Attachments != len(parts) {
			t.Errorf("%q: %+v", tc.Text, p)
		}
		for i := range parts {
			if !bytes.Equal(p.Parts[i], parts[i]) {
				t.Errorf("%q: part %d is %x", tc.Text, i, p.Parts[i])
			}
		}
		if back := string(p.Append(nil)); back != tc.Text {
			t.Errorf("%q is written as %q", tc.Text, back)
		}
		if frame := p.Frame(); string(frame.Payload()) != "4"+tc.Text || frame.Op != wire.Text {
			t.Errorf("%q: the frame is %q", tc.Text, frame.Payload())
		}
		inlined(t, tc, p)
	}
}

// inlined checks what the rest of the gateway sees of a packet, and the way
// back.
func inlined(t *testing.T, tc goldenPacket, p Packet) {
	t.Helper()
	plain := p
	if p.Type.Binary() {
		text, err := p.Inline()
		if err != nil {
			t.Fatalf("%q: %v", tc.Text, err)
		}
		if plain, err = Parse(text); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		rest, parts := Detach(plain.Data)
		if string(rest) != string(p.Data) || len(parts) != len(p.Parts) {
			t.Errorf("%s\nis detached to %s and %d parts,\nwant %s", plain.Data, rest, len(parts), p.Data)
		}
		for i := range parts {
			if !bytes.Equal(parts[i], p.Parts[i]) {
				t.Errorf("%q: part %d came back as %x", tc.Text, i, parts[i])
			}
		}
	}
	if plain.Type != tc.Type || !equalJSON(t, string(plain.Data), tc.Data) || string(plain.ID) != tc.ID {
		t.Errorf("%q: %d %s, want %d %s", tc.Text, plain.Type, plain.Data, tc.Type, tc.Data)
	}
}

// stricter tells why a text that the reference accepts is refused here; "" when
// it must not be.
func stricter(text string) string {
	p, err := Header([]byte(text))
	switch {
	case text == "":
		return "the reference reads nothing as a CONNECT"
	case err != nil:
		return ""
	case p.ID != nil && !p.IsEvent() && !p.IsAck():
		return "an id on a packet that is never acknowledged"
	case p.IsAck() && p.ID == nil:
		return "an acknowledgement of nothing"
	case p.Data == nil && p.Type != Connect && p.Type != Disconnect:
		return "no data where there must be some"
	}
	return ""
}

func TestTextsAreReadOrRefusedAsTheReferenceDoes(t *testing.T) {
	cases := readGolden(t).Texts
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	accepted := 0
	for _, tc := range cases {
		text, accept := tc[0].(string), tc[1].(bool)
		p, err := Parse([]byte(text))
		switch {
		case err != nil && !wire.IsCode(err, wire.InvalidMessage):
			t.Errorf("%q: %v", text, err)
		case err == nil && !accept:
			t.Errorf("%q is read, the reference refuses it", text)
		case err != nil && accept && stricter(text) == "":
			t.Errorf("%q: %v, the reference reads it", text, err)
		case err == nil:
			accepted++
			want := Packet{Type: Type(tc[2].(float64)), Attachments: int(tc[6].(float64))}
			if p.Type != want.Type || p.Attachments != want.Attachments || namespaceOf(p) != namespaceName(tc[3].(string)) ||
				string(p.ID) != tc[4].(string) || !equalJSON(t, string(p.Data), tc[5].(string)) {
				t.Errorf("%q is read as %+v, the reference says %v", text, p, tc[2:])
			}
		}
	}
	if accepted < 200 {
		t.Errorf("%d of %d texts were read", accepted, len(cases))
	}
}

func namespaceName(s string) string { return For(s).Namespace() }

func TestFramesAreWrittenAsTheReferenceDoes(t *testing.T) {
	frames := readGolden(t).Frames
	for _, namespace := range []string{"/", "/custom"} {
		c := For(namespace)
		pub := wire.Publication{Room: "chat:lobby", Event: "message", Data: []byte(`{"text":"hi"}`),
			Position: wire.Position{Epoch: 1, Offset: 42, Nonce: 2}}
		toAll := wire.Publication{Room: wire.Everyone, Event: "notice", Data: []byte(`"down at 8"`)}
		fault := []byte(`{"code":"forbidden","message":"no"}`)
		question := Packet{Type: Event, ID: []byte("5"), Data: EventData("question", []byte(`1,{"a":2}`))}
		if namespace != "/" {
			question.Namespace = []byte(namespace)
		}
		got := map[string]*wire.Frame{
			"an event":                               c.Event(wire.Event{Name: "connected", Data: []byte(`{"connectionId":"c1"}`)}),
			"an event without data":                  c.Event(wire.Event{Name: "pong"}),
			"a reply":                                c.Event(wire.Event{Name: "room_joined", ID: []byte("17"), Data: []byte(`{"room":"chat:lobby"}`)}),
			"a reply without data":                   c.Event(wire.Event{Name: "pong", ID: []byte("0")}),
			"an error":                               c.Event(wire.Event{Name: "error", ID: []byte("17"), Data: fault}),
			"an error without a request":             c.Event(wire.Event{Name: "error", Data: fault}),
			"a publication with history":             c.Publication(&pub),
			"a publication without history":          c.Publication(&wire.Publication{Room: "chat:lobby", Event: "message", Data: []byte("[1]")}),
			"a publication to everyone":              c.Publication(&toAll),
			"a publication that skipped":             c.Skipped(c.Publication(&pub), 12),
			"a publication to everyone that skipped": c.Skipped(c.Publication(&toAll), 12),
			"a connect":                              c.Connected("s-1", ""),
			"a connect with recovery":                c.Connected("s-1", "p_1"),
			"a refusal":                              c.Refused(InvalidNamespace, nil),
			"a refusal with data":                    c.Refused(`no "token"`, []byte(`{"code":"unauthenticated"}`)),
			"a disconnect":                           c.Disconnected(),
			"an event with a callback":               question.Frame(),
		}
		if len(got) != len(frames[namespace]) {
			t.Errorf("%d frames, %d golden ones", len(got), len(frames[namespace]))
		}
		for name, want := range frames[namespace] {
			if f := got[name]; f == nil || string(f.Payload()) != want || f.Op != wire.Text {
				t.Errorf("%s in %s:\n got %s\nwant %s", name, namespace, f.Payload(), want)
			}
		}
	}
}

// TestARealClientIsUnderstood plays what socket.io-client sent.
func TestARealClientIsUnderstood(t *testing.T) {
	var got []string
	a := NewAssembler(1 << 20)
	for _, m := range readGolden(t).Client {
		op, message := wire.Text, []byte(strings.TrimPrefix(m[1], "4"))
		if m[0] == "binary" {
			op, message = wire.Binary, unhex(t, m[1])
		}
		p, ok, err := a.Add(op, message)
		if err != nil {
			t.Fatalf("%q: %v", m, err)
		}
		if ok {
			got = append(got, told(t, p))
		}
	}
	want := []string{
		`/ connects with "t" {"chat:lobby":"AAAAAAAB.42.AAAAAAAC"} "" ""`,
		`/custom connects with "u"  "" ""`,
		`/ answers 2 with [{"answer":1},{"_binary":true,"base64":"AQI="}]`,
		`/ asks join_room 0 {"room":"chat:lobby"}`,
		`/ asks message  ["several",2,{}]`,
		`/ asks file 1 [{"name":"a.bin","body":{"_binary":true,"base64":"AP8="}},{"_binary":true,"base64":"eA=="}]`,
		`/ asks nothing 2 `,
		`/custom asks later  1`,
		`/custom disconnects`,
		`/ connects with "t" {"chat:lobby":"AAAAAAAB.42.AAAAAAAC"} "p_1" "offset-1"`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// told is a packet in words, read as a connection would.
func told(t *testing.T, p Packet) string {
	t.Helper()
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	namespace := namespaceOf(p)
	text := p.Append(nil)
	if p.Type.Binary() {
		var err error
		if text, err = p.Inline(); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case p.Type == Connect:
		auth, err := p.Auth()
		if err != nil {
			t.Fatal(err)
		}
		return namespace + " connects with " + quoted(auth.Token) + " " + string(auth.Since) + " " + quoted(auth.PID) + " " + quoted(auth.Offset)
	case p.Type == Disconnect:
		return namespace + " disconnects"
	case p.IsAck():
		plain, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return namespace + " answers " + string(p.ID) + " with " + string(plain.Data)
	}
	var req wire.Request
	if err := For(namespace).Decode(wire.Text, text, &req); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return namespace + " asks " + req.Event + " " + string(req.ID) + " " + string(req.Data)
}

func quoted(s string) string { return `"` + s + `"` }
