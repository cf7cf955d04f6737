package jsonv1

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestEventIsWrittenExactly(t *testing.T) {
	for name, tc := range map[string]struct {
		event wire.Event
		want  string
	}{
		"a server event": {
			wire.Event{Name: "connected", Data: []byte(`{"connectionId":"c1"}`)},
			`{"event":"connected","data":{"connectionId":"c1"}}`},
		"a reply with a number": {
			wire.Event{Name: "pong", ID: []byte("17"), Data: []byte(`{}`)},
			`{"event":"pong","id":17,"data":{}}`},
		"a reply with a string": {
			wire.Event{Name: "pong", ID: []byte(`"\u0041"`), Data: []byte(`{}`)},
			`{"event":"pong","id":"\u0041","data":{}}`},
		"no data": {
			wire.Event{Name: "pong"},
			`{"event":"pong","data":null}`},
		"data as it is": {
			wire.Event{Name: "x", Data: []byte(`{ "a" : 1.50 }`)},
			`{"event":"x","data":{ "a" : 1.50 }}`},
		"a name that needs escapes": {
			wire.Event{Name: "a\"b\\c\n", Data: []byte(`1`)},
			`{"event":"a\"b\\c\u000a","data":1}`},
	} {
		t.Run(name, func(t *testing.T) { check(t, Codec{}.Event(tc.event), tc.want) })
	}
}

func check(t *testing.T, f *wire.Frame, want string) {
	t.Helper()
	if got := string(f.Payload()); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if f.Op != wire.Text {
		t.Errorf("op %d", f.Op)
	}
	if !json.Valid(f.Payload()) {
		t.Error("not JSON")
	}
}

func TestPublicationIsWrittenExactly(t *testing.T) {
	for name, tc := range map[string]struct {
		pub  wire.Publication
		want string
	}{
		"with history": {
			wire.Publication{Room: "chat:lobby", Event: "message", Data: []byte(`{"text":"hi"}`),
				Position: wire.Position{Epoch: 1, Offset: 42, Nonce: 2}},
			`{"event":"message","room":"chat:lobby","offset":42,"pos":"AAAAAAAB.42.AAAAAAAC","data":{"text":"hi"}}`},
		"without history": {
			wire.Publication{Room: "chat:lobby", Event: "message", Data: []byte(`[1]`)},
			`{"event":"message","room":"chat:lobby","data":[1]}`},
		"to everyone": {
			wire.Publication{Room: wire.Everyone, Event: "notice", Data: []byte(`"down at 8"`)},
			`{"event":"notice","data":"down at 8"}`},
		"to one connection": {
			wire.Publication{Room: wire.ConnectionRoom("c1"), Event: "notice", Except: []string{"c2"}},
			`{"event":"notice","data":null}`},
		"without data": {
			wire.Publication{Room: "r", Event: "tick"},
			`{"event":"tick","room":"r","data":null}`},
		"nothing of the publisher": {
			wire.Publication{Room: "r", Event: "tick", Publisher: "ann", Origin: "c1", IdempotencyKey: "k", ConflateKey: "c",
				NoEcho: true, Time: 1},
			`{"event":"tick","room":"r","data":null}`},
		"a name that needs escapes": {
			wire.Publication{Room: "r", Event: "a\"\x01"},
			`{"event":"a\"\u0001","room":"r","data":null}`},
	} {
		t.Run(name, func(t *testing.T) { check(t, Codec{}.Publication(&tc.pub), tc.want) })
	}
}

func TestAPublicationsFrameCarriesWhatQueuesNeed(t *testing.T) {
	f := Codec{}.Publication(&wire.Publication{Room: "r", Event: "e", ConflateKey: "k", Position: wire.Position{Epoch: 1, Offset: 7}})
	if f.Room != "r" || f.Position.Offset != 7 || f.ConflateKey != "k" || f.Slow != wire.SlowDisconnect {
		t.Errorf("%q %d %q %d", f.Room, f.Position.Offset, f.ConflateKey, f.Slow)
	}
	if f := (Codec{}).Event(wire.Event{Name: "pong"}); f.Room != "" || f.Position.Offset != 0 {
		t.Errorf("an event's frame: %q %d", f.Room, f.Position.Offset)
	}
}

func TestSkippedIsAddedToACopy(t *testing.T) {
	pub := wire.Publication{Room: "r", Event: "tick", Data: []byte(`{"skipped":0}`), ConflateKey: "k", Position: wire.Position{Epoch: 1, Offset: 7, Nonce: 2}}
	f := Codec{}.Publication(&pub)
	before := string(f.Payload())
	told := Codec{}.Skipped(f, 12)
	check(t, told, `{"event":"tick","room":"r","offset":7,"pos":"AAAAAAAB.7.AAAAAAAC","data":{"skipped":0},"skipped":12}`)
	check(t, f, before)
	if told.Room != "r" || told.Position != pub.Position || told.Slow != wire.SlowDisconnect {
		t.Errorf("%+v", told)
	}
}

func TestAnEventKnowsTheRoomInWhoseStreamItStands(t *testing.T) {
	f := Codec{}.Event(wire.Event{Name: "gap", Room: "r"})
	check(t, f, `{"event":"gap","data":null}`)
	if f.Room != "r" {
		t.Errorf("room %q", f.Room)
	}
}

func TestEncodingAllocatesTheFrameAlone(t *testing.T) {
	pub := publication()
	event := wire.Event{Name: wire.EventPublished, ID: []byte("17"), Data: []byte(`{"room":"chat:lobby"}`)}
	for name, encode := range map[string]func(){
		"publication": func() { Codec{}.Publication(pub) },
		"event":       func() { Codec{}.Event(event) },
	} {
		if n := testing.AllocsPerRun(100, encode); n != 2 { // the frame and its buffer
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestTheLongestEnvelopeFitsItsBuffer(t *testing.T) {
	pub := wire.Publication{
		Room: strings.Repeat("r", wire.MaxRoomName), Event: strings.Repeat("e", wire.MaxEventName), Data: []byte("{}"),
		Position: wire.Position{Epoch: wire.Bits48, Offset: 1<<53 - 1, Nonce: wire.Bits48},
	}
	if n := testing.AllocsPerRun(100, func() { Codec{}.Publication(&pub) }); n != 2 {
		t.Errorf("%v allocations: the buffer grew", n)
	}
}

// FuzzPublication reads back what is written.
func FuzzPublication(f *testing.F) {
	f.Add("message", `{"text":"hi"}`, uint64(1))
	f.Add("a\"\\\x00\u2028", "null", uint64(0))
	f.Fuzz(func(t *testing.T, event, data string, offset uint64) {
		event = strings.ToValidUTF8(event, "")
		if !json.Valid([]byte(data)) {
			data = "[]"
		}
		pub := wire.Publication{Room: "r", Event: event, Data: []byte(data), Position: wire.Position{Epoch: 1, Offset: offset >> 11}}
		var back struct {
			Event, Room string
			Offset      uint64
			Pos         string
			Data        json.RawMessage
		}
		if err := json.Unmarshal(Codec{}.Publication(&pub).Payload(), &back); err != nil {
			t.Fatal(err)
		}
		if back.Event != event || back.Room != "r" || back.Offset != pub.Position.Offset || string(back.Data) != strings.Trim(data, " \t\r\n") {
			t.Fatalf("%+v became %+v", pub, back)
		}
		if pos, err := wire.ParsePosition(back.Pos); offset>>11 > 0 && (err != nil || pos != pub.Position) {
			t.Fatalf("%q: %+v, %v", back.Pos, pos, err)
		}
	})
}

func publication() *wire.Publication {
	return &wire.Publication{
		Room: "chat:lobby", Event: "message", Position: wire.Position{Epoch: 1, Offset: 123456, Nonce: 2},
		Data: []byte(`{"text":"a message of about a hundred bytes, as the plan has it, more or less, give or take"}`),
	}
}

func BenchmarkPublication(b *testing.B) {
	pub := publication()
	b.ReportAllocs()
	for b.Loop() {
		Codec{}.Publication(pub)
	}
}

func BenchmarkEvent(b *testing.B) {
	event := wire.Event{Name: wire.EventPublished, ID: []byte("17"), Data: []byte(`{"room":"chat:lobby","offset":123456,"pos":"AAAAAAAB.123456.AAAAAAAC"}`)}
	b.ReportAllocs()
	for b.Loop() {
		Codec{}.Event(event)
	}
}
