package engineio

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseRefusesEverythingElse(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want error
	}{
		"nothing":                        {"", ErrEmpty},
		"a type above the last":          {"7", ErrType},
		"a letter":                       {"a", ErrType},
		"a type as a byte":               {"\x04data", ErrType},
		"a space":                        {" 4", ErrType},
		"base64 without its padding":     {"bAQ", ErrBase64},
		"base64 with too much of it":     {"bAQ===", ErrBase64},
		"base64 with text after padding": {"bAQ==AQ==", ErrBase64},
		"base64 of the URL alphabet":     {"b-_-_", ErrBase64},
		"base64 with a line break":       {"bAQ\n==", ErrBase64},
		"base64 with a carriage return":  {"bAQ==\r", ErrBase64},
		"base64 with a space":            {"b AQ=", ErrBase64},
		"base64 with stray bits":         {"bAR==", ErrBase64},
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := Parse([]byte(tc.in)); !errors.Is(err, tc.want) || p.Type != 0 || p.Data != nil {
				t.Errorf("%+v, %v, want %v", p, err, tc.want)
			}
		})
	}
}

func TestTheFixedPacketsAreWhatTheirNamesSay(t *testing.T) {
	for text, want := range map[string]Packet{
		ClosePacket:   {Type: Close},
		PingPacket:    {Type: Ping},
		PongPacket:    {Type: Pong},
		ProbePacket:   {Type: Ping, Data: []byte("probe")},
		ProbedPacket:  {Type: Pong, Data: []byte("probe")},
		UpgradePacket: {Type: Upgrade},
		NoopPacket:    {Type: Noop},
	} {
		if got, err := Parse([]byte(text)); err != nil || !same(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestAPayloadThatIsNotUTF8IsRefusedWhole(t *testing.T) {
	seen, err := decoded([]byte("4good\x1e4\xff"))
	if len(seen) != 0 || !errors.Is(err, ErrText) {
		t.Errorf("%+v, %v", seen, err)
	}
}

func TestAWalkStaysEndedAtItsError(t *testing.T) {
	walk := Decode([]byte("4a\x1ex\x1e4b"))
	if !walk.Next() || walk.Next() || walk.Next() || !errors.Is(walk.Err(), ErrType) {
		t.Error(walk.Err())
	}
}

func TestOneBufferServesAllBinaryPacketsOfAPayload(t *testing.T) {
	var body []byte
	for range 100 {
		body = AppendBinary(body, make([]byte, 1000))
	}
	if n := testing.AllocsPerRun(10, func() {
		for walk := Decode(body); walk.Next(); {
		}
	}); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

func TestTextOfAPayloadIsNotCopied(t *testing.T) {
	body := []byte("4hello\x1e2")
	if n := testing.AllocsPerRun(100, func() {
		for walk := Decode(body); walk.Next(); {
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSizesAreAtLeastWhatIsAdded(t *testing.T) {
	for n := range 70 {
		payload := []byte(NoopPacket)
		if grown := len(AppendText(payload, make([]byte, n+1))) - len(payload); grown != TextSize(n+1) {
			t.Errorf("text of %d bytes adds %d", n+1, grown)
		}
		if grown := len(AppendBinary(payload, make([]byte, n))) - len(payload); grown != BinarySize(n) {
			t.Errorf("%d bytes add %d", n, grown)
		}
	}
}

func TestTheOpenPacketHasExactlyItsFiveFields(t *testing.T) {
	var fields map[string]json.RawMessage
	text := AppendOpen(nil, "s", WebSocket, DefaultLimits())
	if err := json.Unmarshal(text[1:], &fields); err != nil || text[0] != byte(Open) {
		t.Fatal(err)
	}
	for _, name := range []string{"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"} {
		if fields[name] == nil {
			t.Errorf("no %s in %s", name, text)
		}
	}
	if len(fields) != 5 {
		t.Errorf("%s", text)
	}
}

func TestOnlyTwoTransportsAreKnown(t *testing.T) {
	for name, want := range map[Transport]bool{Polling: true, WebSocket: true, "": false, "webtransport": false, "Polling": false, "__proto__": false} {
		if name.Known() != want {
			t.Errorf("%q: %v", name, name.Known())
		}
	}
}

func TestAnErrorMaySayMore(t *testing.T) {
	for _, tc := range []struct {
		code          ErrorCode
		message, want string
	}{
		{Forbidden, "the \"origin\" is refused\n", `{"code":4,"message":"the \"origin\" is refused\u000a"}`},
		{Forbidden, "", `{"code":4,"message":"Forbidden"}`},
		{ErrorCode(99), "", `{"code":99,"message":"Bad request"}`},
	} {
		if got := string(tc.code.Body(tc.message)); got != tc.want || !json.Valid([]byte(got)) {
			t.Errorf("%s, want %s", got, tc.want)
		}
	}
}

// FuzzPayload reads a body, writes what was read, and reads that again.
func FuzzPayload(f *testing.F) {
	for _, s := range []string{
		"", "4", "4hello\x1e2probe\x1ebAQID", "b", "b=", "bAQ==", "\x1e", "4a\x1e", "4a\x1e\x1e4b", "0{}\x1e1\x1e2\x1e3\x1e5\x1e6", "7", "4\xff", "4€\u2028",
		strings.Repeat("4\x1e", 200) + "4",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		seen, err := decoded(body)
		if !bytes.Equal(before, body) {
			t.Fatalf("%q was changed to %q", before, body)
		}
		if len(seen) > bytes.Count(body, []byte{separator})+1 {
			t.Fatalf("%d packets of %q", len(seen), body)
		}
		size := 0
		var again []byte
		for _, p := range seen {
			size += len(p.Data)
			if p.Type < Open || p.Type > Noop || p.Binary && p.Type != Message || !p.Binary && !utf8.Valid(p.Data) {
				t.Fatalf("%q holds %+v", body, p)
			}
			again = appendPacket(again, p)
		}
		if size > len(body) {
			t.Fatalf("%d bytes became %d", len(body), size)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(again, body) { // strict base64: there is one way to write a payload
			t.Fatalf("%q became %q", body, again)
		}
	})
}

// FuzzParse takes what a WebSocket's text message may hold.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "4", "2probe", "bAQID", "b\n", "42[\"a\"]", "9", "\x1e"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			if p.Type != 0 || p.Data != nil {
				t.Fatalf("%q: %+v with %v", text, p, err)
			}
			return
		}
		if back := appendPacket(nil, p); !bytes.Equal(back, text) {
			t.Fatalf("%q became %+v became %q", text, p, back)
		}
	})
}

func BenchmarkDecodePayload(b *testing.B) {
	body := AppendText(nil, []byte(`42["message",{"text":"a message of about a hundred bytes, as the plan has it, more or less"}]`))
	body = AppendText(body, []byte(PongPacket))
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		walk := Decode(body)
		for walk.Next() {
		}
		if walk.Err() != nil {
			b.Fatal(walk.Err())
		}
	}
}

func BenchmarkAppendText(b *testing.B) {
	packet := []byte(`42["message",{"text":"a message of about a hundred bytes, as the plan has it, more or less"}]`)
	payload := make([]byte, 0, 4*TextSize(len(packet)))
	b.ReportAllocs()
	for b.Loop() {
		payload = payload[:0]
		for range 4 {
			payload = AppendText(payload, packet)
		}
	}
}
