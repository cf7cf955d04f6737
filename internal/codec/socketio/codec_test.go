package socketio

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/codec"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestDecodeMakesARequestOfAnEvent(t *testing.T) {
	for name, tc := range map[string]struct {
		in, event, id, data string
	}{
		"an event alone":            {`2["ping"]`, "ping", "", ""},
		"one argument":              {`2["publish",{"room":"a"}]`, "publish", "", `{"room":"a"}`},
		"one with a callback":       {`217["join_room", {"room":"a"} ]`, "join_room", "17", `{"room":"a"}`},
		"an id with zeros":          {`2017["ping"]`, "ping", "17", ""},
		"one array":                 {`2["x",[1,2]]`, "x", "", "[1,2]"},
		"one string with a comma":   {`2["x",",[\",{"]`, "x", "", `",[\",{"`},
		"one null":                  {`2["x",null]`, "x", "", "null"},
		"several":                   {`2["x",1,"two",{"three":[4,5]}]`, "x", "", `[1,"two",{"three":[4,5]}]`},
		"several with space":        {`2[ "x" , 1 , 2 ] `, "x", "", "[1 , 2]"},
		"an escaped name":           {`2["p\u0069ng"]`, "ping", "", ""},
		"a name in another script":  {`2["съобщение",1]`, "съобщение", "", "1"},
		"a number as a name":        {`2[42,1]`, "42", "", "1"},
		"the longest name":          {`2["` + strings.Repeat("e", 128) + `"]`, strings.Repeat("e", 128), "", ""},
		"an escape counts as text":  {`2["` + strings.Repeat(`\u0065`, 128) + `"]`, strings.Repeat("e", 128), "", ""},
		"a number as written":       {`2["x",1.50e+00]`, "x", "", "1.50e+00"},
		"binary data in its place":  {`2["x",{"_binary":true,"base64":"AQ=="}]`, "x", "", `{"_binary":true,"base64":"AQ=="}`},
		"the plan's clients' error": {`2["error",{"message":"m"}]`, "error", "", `{"message":"m"}`},
	} {
		t.Run(name, func(t *testing.T) {
			for namespace, in := range map[string]string{"/": tc.in, "/chat": "2/chat," + tc.in[1:]} {
				req := wire.Request{Event: "stale", ID: []byte("stale"), Data: []byte("stale")}
				if err := For(namespace).Decode(wire.Text, []byte(in), &req); err != nil {
					t.Fatal(err)
				}
				if req.Event != tc.event || string(req.ID) != tc.id || string(req.Data) != tc.data {
					t.Errorf("%q %q %q", req.Event, req.ID, req.Data)
				}
				if (tc.id == "") != (req.ID == nil) || (tc.data == "") != (req.Data == nil) {
					t.Error("what is absent is nil, what is present is not")
				}
			}
		})
	}
}

func TestDecodeRefusesEverythingElse(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want error
		id   string
	}{
		"nothing":                   {"", errType, ""},
		"no packet":                 {`{"event":"ping"}`, errType, ""},
		"a connect":                 {"0", errPlace, ""},
		"a disconnect":              {"1", errPlace, ""},
		"an acknowledgement":        {"31[]", errPlace, "1"},
		"a binary event":            {`51-["x",{"_placeholder":true,"num":0}]`, errPlace, ""},
		"another namespace":         {`2/other,3["ping"]`, errPlace, "3"},
		"broken JSON":               {`25["ping",]`, errData, "5"},
		"an object":                 {`25{"event":"ping"}`, errData, "5"},
		"a reserved name":           {`25["disconnect"]`, errReserved, "5"},
		"an empty array":            {`25[]`, errReserved, "5"},
		"an empty name":             {`25[""]`, errName, "5"},
		"a name too long":           {`25["` + strings.Repeat("e", 129) + `"]`, errName, "5"},
		"an id that is too large":   {`29007199254740993["ping"]`, errAckID, ""},
		"an escape that is not one": {`25["\x"]`, errData, "5"},
	} {
		t.Run(name, func(t *testing.T) {
			req := wire.Request{Event: "stale", ID: []byte("stale"), Data: []byte("stale")}
			err := Codec{}.Decode(wire.Text, []byte(tc.in), &req)
			if err != tc.want { //nolint:errorlint // exactly this one
				t.Errorf("%v, want %v", err, tc.want)
			}
			if !wire.IsCode(err, wire.InvalidMessage) || Violation(err) == (tc.want == errName) { //nolint:errorlint // as above
				t.Errorf("%v: violation %v", err, Violation(err))
			}
			if string(req.ID) != tc.id || req.Event != "" || req.Data != nil {
				t.Errorf("%+v", req)
			}
		})
	}
	req := wire.Request{ID: []byte("stale")}
	if err := (Codec{}).Decode(wire.Binary, []byte(`2["ping"]`), &req); !Violation(err) || req.ID != nil {
		t.Errorf("a binary message: %v", err)
	}
	if Violation(nil) {
		t.Error("no error is no violation")
	}
}

func TestDecodedSlicesPointIntoTheMessage(t *testing.T) {
	in := []byte(`23["ping",{"a":1}]`)
	var req wire.Request
	if err := (Codec{}).Decode(wire.Text, in, &req); err != nil {
		t.Fatal(err)
	}
	in[1], in[len(in)-3] = '4', '2'
	if string(req.ID) != "4" || string(req.Data) != `{"a":2}` {
		t.Errorf("copied: %q %q", req.ID, req.Data)
	}
}

func TestCodecsOfOneNamespaceAreEqual(t *testing.T) {
	frames := map[codec.Codec]bool{Codec{}: true, For("/"): true, For(""): true, For("/chat"): true, For("/" + "chat"): true}
	if len(frames) != 2 || For("").Namespace() != "/" || For("/chat").Namespace() != "/chat" {
		t.Error(frames)
	}
}

func TestFramesCarryWhatQueuesNeed(t *testing.T) {
	c := For("/chat")
	pub := wire.Publication{Room: "r", Event: "e", ConflateKey: "k", Position: wire.Position{Epoch: 1, Offset: 7, Nonce: 2}}
	f := c.Publication(&pub)
	if f.Room != "r" || f.Position != pub.Position || f.ConflateKey != "k" || f.Slow != wire.SlowDisconnect {
		t.Errorf("%+v", f)
	}
	before := string(f.Payload())
	told := c.Skipped(f, 3)
	if told.Room != "r" || told.Position != pub.Position || told.ConflateKey != "" || string(f.Payload()) != before {
		t.Errorf("%+v", told)
	}
	if f := c.Event(wire.Event{Name: "gap", Room: "r"}); f.Room != "r" {
		t.Errorf("an event's room is %q", f.Room)
	}
	if f := c.Event(wire.Event{Name: "pong", ID: []byte("1")}); f.Room != "" {
		t.Errorf("a reply's room is %q", f.Room)
	}
}

func TestAPublicationTellsNothingOfItsPublisher(t *testing.T) {
	for want, pub := range map[string]wire.Publication{
		`42["tick",null,{"room":"r"}]`: {Room: "r", Event: "tick", Publisher: "ann", Origin: "c1", IdempotencyKey: "k",
			ConflateKey: "c", NoEcho: true, Time: 1},
		`42["notice",null]`: {Room: wire.ConnectionRoom("c1"), Event: "notice", Except: []string{"c2"}},
		`42["notice",1,{"offset":3,"pos":"AAAAAAAB.3.AAAAAAAC"}]`: {Room: wire.Everyone, Event: "notice", Data: []byte("1"),
			Position: wire.Position{Epoch: 1, Offset: 3, Nonce: 2}},
		`42["a\"\u0001\u001e",null,{"room":"r"}]`: {Room: "r", Event: "a\"\x01\x1e"},
	} {
		if got := string(Codec{}.Publication(&pub).Payload()); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
}

// A client that got such an event would report a malformed packet and close.
func TestNoFrameHasANameThatTheProtocolReserves(t *testing.T) {
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
		for _, f := range []*wire.Frame{
			Codec{}.Publication(&wire.Publication{Room: "r", Event: name}),
			Codec{}.Event(wire.Event{Name: name}),
		} {
			p, err := Parse(f.Payload()[1:])
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := p.Event(); got != "event:"+name {
				t.Errorf("%s is sent as %q", name, got)
			}
		}
	}
}

func TestDecodingABuiltInEventAllocatesNothing(t *testing.T) {
	for _, name := range []string{
		wire.EventAuthenticate, wire.EventJoinRoom, wire.EventLeaveRoom, wire.EventPublish,
		wire.EventHistory, wire.EventPresence, wire.EventPing,
	} {
		in := []byte(`2/chat,17["` + name + `",{"room":"chat:lobby","text":"hello"}]`)
		c := codec.Codec(For("/chat"))
		var req wire.Request
		if n := testing.AllocsPerRun(100, func() { _ = c.Decode(wire.Text, in, &req) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if req.Event != name {
			t.Errorf("%s is read as %q", name, req.Event)
		}
	}
}

func TestEncodingAllocatesTheFrameAlone(t *testing.T) {
	longest := For("/" + strings.Repeat("n", MaxNamespace-1))
	pub := wire.Publication{
		Room: strings.Repeat("r", wire.MaxRoomName), Event: strings.Repeat("e", wire.MaxEventName), Data: []byte("{}"),
		Position: wire.Position{Epoch: wire.Bits48, Offset: 1<<53 - 1, Nonce: wire.Bits48},
	}
	f := longest.Publication(&pub)
	data, id := []byte(`{"room":"chat:lobby"}`), []byte("17")
	for name, encode := range map[string]func(){
		"publication": func() { longest.Publication(&pub) },
		"a renamed one": func() {
			Codec{}.Publication(&wire.Publication{Event: "disconnecting", Room: "r", Position: pub.Position})
		},
		"skipped":      func() { longest.Skipped(f, 1<<63) },
		"event":        func() { longest.Event(wire.Event{Name: wire.EventRoomJoined, Data: data}) },
		"empty event":  func() { longest.Event(wire.Event{Name: wire.EventPong}) },
		"reply":        func() { longest.Event(wire.Event{Name: wire.EventRoomJoined, ID: id, Data: data}) },
		"empty reply":  func() { longest.Event(wire.Event{Name: wire.EventPong, ID: id}) },
		"error":        func() { longest.Event(wire.Event{Name: wire.EventError, ID: id, Data: data}) },
		"empty error":  func() { longest.Event(wire.Event{Name: wire.EventError, ID: id}) },
		"connect":      func() { longest.Connected("abcdefghijklmnop", "abcdefghijklmnop") },
		"refusal":      func() { longest.Refused(InvalidNamespace, data) },
		"disconnected": func() { longest.Disconnected() },
	} {
		if n := testing.AllocsPerRun(100, encode); n > 2 { // the frame and its buffer, which does not grow
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// FuzzDecode compares with encoding/json.
func FuzzDecode(f *testing.F) {
	for _, tc := range readGolden(f).Packets {
		f.Add([]byte(tc.Text))
	}
	for _, s := range []string{
		`217["publish",{"room":"chat:lobby","event":"message","data":{"text":"hi"}}]`, `2["p\u0069ng",null,null]`, `2["\ud800"]`,
		`2[ "x" , [ 1 , 2.5e-7 , "\\" ] ]`, `2/custom,1["x"]`, `2[""]`, `2["x",{"a":"]"},"[{"]`, `2[1]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if !utf8.Valid(in) { // the transport refuses those before
			return
		}
		var req wire.Request
		err := Codec{}.Decode(wire.Text, in, &req)
		p, whole := Parse(in)
		if err != nil {
			if !wire.IsCode(err, wire.InvalidMessage) || Violation(err) && whole == nil && p.Type == Event && p.Namespace == nil {
				t.Fatalf("%q: %v", in, err)
			}
			return
		}
		if whole != nil || string(p.ID) != string(req.ID) || len(req.Event) > wire.MaxEventName {
			t.Fatalf("%q: %+v, but parsed as %+v, %v", in, req, p, whole)
		}
		var elements []json.RawMessage
		if err := json.Unmarshal(p.Data, &elements); err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		var several []json.RawMessage
		switch {
		case req.Data != nil && !json.Valid(req.Data):
			t.Fatalf("%q: %q", in, req.Data)
		case len(elements) == 1 && req.Data != nil, len(elements) == 2 && string(req.Data) != string(elements[1]):
			t.Fatalf("%q: %q", in, req.Data)
		case len(elements) > 2 && (json.Unmarshal(req.Data, &several) != nil || len(several) != len(elements)-1):
			t.Fatalf("%q: %q", in, req.Data)
		}
	})
}

// FuzzPublication reads back what is written, as a client would.
func FuzzPublication(f *testing.F) {
	f.Add("message", `{"text":"hi"}`, "/", uint64(1<<11), uint64(0))
	f.Add("a\"\\\x00\u2028\x1e", "null", "/custom", uint64(0), uint64(7))
	f.Add("disconnect", "", "/a/b", uint64(1<<63), uint64(1))
	f.Fuzz(func(t *testing.T, event, data, namespace string, offset, skipped uint64) {
		event = strings.ToValidUTF8(event, "")
		var raw []byte
		if json.Valid([]byte(data)) {
			raw = []byte(data)
		}
		namespace = "/" + strings.Map(func(r rune) rune {
			if r < 0x20 || r == ',' || r == 0x7f {
				return -1
			}
			return r
		}, strings.ToValidUTF8(namespace, ""))
		if len(namespace) > MaxNamespace {
			return
		}
		c := For(namespace)
		pub := wire.Publication{Room: "r", Event: event, Data: raw, Position: wire.Position{Epoch: 1, Offset: offset >> 11, Nonce: 2}}
		payload := c.Skipped(c.Publication(&pub), skipped).Payload()
		if payload[0] != '4' || strings.IndexByte(string(payload), 0x1e) >= 0 && strings.IndexByte(data, 0x1e) < 0 {
			t.Fatalf("%q", payload)
		}
		p, err := Parse(payload[1:])
		if err != nil {
			if depth := strings.Count(data, "[") + strings.Count(data, "{"); depth >= 64 {
				return
			}
			t.Fatalf("%q: %v", payload, err)
		}
		name, args := p.Event()
		var place struct {
			Room            string
			Offset, Skipped uint64
			Pos             string
		}
		var got []json.RawMessage
		if err := json.Unmarshal([]byte("["+string(args)+"]"), &got); err != nil || len(got) != 2 {
			t.Fatalf("%q: %v", payload, err)
		}
		if err := json.Unmarshal(got[1], &place); err != nil {
			t.Fatal(err)
		}
		if name != event && name != "event:"+event || namespaceOf(p) != namespace || raw == nil && string(got[0]) != "null" ||
			raw != nil && string(got[0]) != strings.Trim(data, " \t\r\n") ||
			place.Room != "r" || place.Offset != offset>>11 || place.Skipped != skipped {
			t.Fatalf("%+v became %q", pub, payload)
		}
		if pos, err := wire.ParsePosition(place.Pos); place.Offset > 0 && (err != nil || pos != pub.Position) {
			t.Fatalf("%q: %v", payload, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	const data = `{"room":"chat:lobby","event":"message","data":{"text":"a message of about a hundred bytes, as the plan has it"}}`
	for name, in := range map[string]string{
		"built in":          `217["publish",` + data + `]`,
		"a route":           `217["quote_request",` + data + `]`,
		"in a namespace":    `2/chat,17["publish",` + data + `]`,
		"several arguments": `217["publish",` + data + `,1]`,
	} {
		b.Run(name, func(b *testing.B) {
			c := codec.Codec(Codec{})
			if strings.Contains(name, "namespace") {
				c = For("/chat")
			}
			var req wire.Request
			payload := []byte(in)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				if err := c.Decode(wire.Text, payload, &req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPublication(b *testing.B) {
	pub := wire.Publication{
		Room: "chat:lobby", Event: "message", Position: wire.Position{Epoch: 1, Offset: 123456, Nonce: 2},
		Data: []byte(`{"text":"a message of about a hundred bytes, as the plan has it, more or less, give or take"}`),
	}
	c := codec.Codec(For("/chat"))
	b.ReportAllocs()
	for b.Loop() {
		c.Publication(&pub)
	}
}

func BenchmarkReply(b *testing.B) {
	event := wire.Event{Name: wire.EventPublished, ID: []byte("17"), Data: []byte(`{"room":"chat:lobby","offset":123456,"pos":"AAAAAAAB.123456.AAAAAAAC"}`)}
	b.ReportAllocs()
	for b.Loop() {
		Codec{}.Event(event)
	}
}

func TestBinaryDataOfTheGatewayIsAttached(t *testing.T) {
	const data = `{"a":{"_binary":true,"base64":"eHl6"},"b":[{"_binary":true,"base64":""}]}`
	const holes = `{"a":{"_placeholder":true,"num":0},"b":[{"_placeholder":true,"num":1}]}`
	c := For("/chat")
	for want, f := range map[string]*wire.Frame{
		`452-/chat,["e",` + holes + `,{"room":"r"}]`:                c.Publication(&wire.Publication{Room: "r", Event: "e", Data: []byte(data)}),
		`452-/chat,["e",` + holes + `]`:                             c.Event(wire.Event{Name: "e", Data: []byte(data)}),
		`462-/chat,7[{"ok":true,"event":"e","data":` + holes + `}]`: c.Event(wire.Event{Name: "e", ID: []byte("7"), Data: []byte(data)}),
	} {
		if string(f.Payload()) != want {
			t.Errorf("got  %s\nwant %s", f.Payload(), want)
		}
		if len(f.Parts) != 3 || string(f.Parts[0].Payload()) != want || string(f.Parts[1].Payload()) != "xyz" || len(f.Parts[2].Payload()) != 0 || f.Parts[2].Op != wire.Binary {
			t.Errorf("%d parts", len(f.Parts))
		}
	}
	many := []byte("[" + strings.TrimSuffix(strings.Repeat(`{"_binary":true,"base64":""},`, MaxAttachments+1), ",") + "]")
	if f := c.Event(wire.Event{Name: "e", Data: many}); f.Parts != nil || !strings.HasPrefix(string(f.Payload()), "42/chat,") {
		t.Errorf("more than may be attached: %s", f.Payload())
	}
	ten := []byte("[" + strings.TrimSuffix(strings.Repeat(`{"_binary":true,"base64":""},`, MaxAttachments), ",") + "]")
	if f := c.Event(wire.Event{Name: "e", Data: ten}); len(f.Parts) != 11 || !strings.HasPrefix(string(f.Payload()), "4510-/chat,") {
		t.Errorf("as many as may be attached: %s", f.Payload())
	}
}
