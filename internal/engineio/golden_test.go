package engineio

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"
)

// golden is testdata/golden.json: what the reference implementation says.
type golden struct {
	Packets []struct {
		Text   string
		Packet goldenPacket
	}
	Payloads, Malformed []struct {
		Text    string
		Packets []goldenPacket
	}
	Open []struct {
		Transport Transport
		Text      string
		Opts      struct{ PingInterval, PingTimeout, MaxHTTPBufferSize int }
	}
	Errors []struct {
		Status     int
		Type, Body string
	}
}

type goldenPacket struct {
	Type, Data string
	Binary     bool
}

func (g goldenPacket) packet(t *testing.T) Packet {
	t.Helper()
	types := map[string]Type{"open": Open, "close": Close, "ping": Ping, "pong": Pong, "message": Message, "upgrade": Upgrade, "noop": Noop}
	p := Packet{Type: types[g.Type], Binary: g.Binary, Data: []byte(g.Data)}
	if p.Type == 0 {
		t.Fatalf("type %q", g.Type)
	}
	if g.Binary {
		var err error
		if p.Data, err = hex.DecodeString(g.Data); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func readGolden(t *testing.T) golden {
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

func same(a, b Packet) bool {
	return a.Type == b.Type && a.Binary == b.Binary && bytes.Equal(a.Data, b.Data)
}

// appendPacket writes a packet as a session does.
func appendPacket(payload []byte, p Packet) []byte {
	if p.Binary {
		return AppendBinary(payload, p.Data)
	}
	return AppendText(payload, append([]byte{byte(p.Type)}, p.Data...))
}

// decoded walks a payload to its end.
func decoded(body []byte) ([]Packet, error) {
	var seen []Packet
	walk := Decode(body)
	for walk.Next() {
		p := walk.Packet
		p.Data = bytes.Clone(p.Data)
		seen = append(seen, p)
	}
	return seen, walk.Err()
}

func TestPacketsAreReadAndWrittenAsTheReferenceDoes(t *testing.T) {
	cases := readGolden(t).Packets
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, tc := range cases {
		want := tc.Packet.packet(t)
		if got, err := Parse([]byte(tc.Text)); err != nil || !same(got, want) {
			t.Errorf("%q: %+v, %v, want %+v", tc.Text, got, err, want)
		}
		if got := string(appendPacket(nil, want)); got != tc.Text {
			t.Errorf("%+v: %q, want %q", want, got, tc.Text)
		}
	}
}

func TestPayloadsAreReadAndWrittenAsTheReferenceDoes(t *testing.T) {
	cases := readGolden(t).Payloads
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, tc := range cases {
		var body []byte
		got, err := decoded([]byte(tc.Text))
		if err != nil || len(got) != len(tc.Packets) {
			t.Fatalf("%q: %d packets, %v", tc.Text, len(got), err)
		}
		for i, g := range tc.Packets {
			want := g.packet(t)
			if !same(got[i], want) {
				t.Errorf("%q: packet %d is %+v, want %+v", tc.Text, i, got[i], want)
			}
			body = appendPacket(body, want)
		}
		if string(body) != tc.Text {
			t.Errorf("%q, want %q", body, tc.Text)
		}
	}
}

func TestAMalformedPayloadIsReadUpToItsFaultAsTheReferenceDoes(t *testing.T) {
	cases := readGolden(t).Malformed
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, tc := range cases {
		got, err := decoded([]byte(tc.Text))
		if err == nil || len(got) != len(tc.Packets) {
			t.Errorf("%q: %d packets, %v, want %d and an error", tc.Text, len(got), err, len(tc.Packets))
			continue
		}
		for i, g := range tc.Packets {
			if !same(got[i], g.packet(t)) {
				t.Errorf("%q: packet %d is %+v", tc.Text, i, got[i])
			}
		}
	}
}

func TestTheOpenPacketIsWrittenAsTheReferenceDoes(t *testing.T) {
	cases := readGolden(t).Open
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, tc := range cases {
		limits := DefaultLimits()
		if tc.Opts.PingInterval > 0 {
			limits.PingInterval = time.Duration(tc.Opts.PingInterval) * time.Millisecond
			limits.PingTimeout = time.Duration(tc.Opts.PingTimeout) * time.Millisecond
		}
		if tc.Opts.MaxHTTPBufferSize > 0 {
			limits.MaxPayload = tc.Opts.MaxHTTPBufferSize
		}
		if got := string(AppendOpen(nil, "aBc-_0123456789", tc.Transport, limits)); got != tc.Text {
			t.Errorf("\n got %s\nwant %s", got, tc.Text)
		}
	}
}

func TestTheErrorsAreThoseOfTheReference(t *testing.T) {
	cases := readGolden(t).Errors
	if len(cases) != len(ErrorCodes()) {
		t.Fatalf("%d cases", len(cases))
	}
	for i, code := range ErrorCodes() {
		want := cases[i]
		if int(code) != i || code.Status() != want.Status || string(code.Body("")) != want.Body || want.Type != ErrorContentType {
			t.Errorf("%d: %d %s, want %+v", code, code.Status(), code.Body(""), want)
		}
	}
}
