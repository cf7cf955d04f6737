package emitter

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
)

// captured is a message as emitters and adapters published it.
type captured struct {
	Label, Channel, Encoding, Hex string
	Decoded                       json.RawMessage
}

func (c *captured) raw(t testing.TB) string {
	t.Helper()
	b, err := hex.DecodeString(c.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func load(t testing.TB) []captured {
	t.Helper()
	text, err := os.ReadFile("testdata/captured.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []captured
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCapturedEventsAreReadAsTheReferenceReadsThem(t *testing.T) {
	n := 0
	for _, c := range load(t) {
		if c.Encoding != "msgpack" || strings.Contains(c.Channel, "-request") {
			continue
		}
		n++
		t.Run(c.Label, func(t *testing.T) {
			var want [3]json.RawMessage
			var packet struct {
				Type int64
				Data []json.RawMessage
				NSP  string
			}
			var opts struct{ Rooms, Except []string }
			for _, err := range []error{json.Unmarshal(c.Decoded, &want), json.Unmarshal(want[1], &packet), json.Unmarshal(want[2], &opts)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			m, err := parseMessage(c.raw(t), 1<<16)
			if err != nil {
				t.Fatal(err)
			}
			var name string
			if err := json.Unmarshal(packet.Data[0], &name); err != nil {
				t.Fatal(err)
			}
			if m.kind != packet.Type || m.namespace != packet.NSP || m.event.Name != name || m.event.Count != len(packet.Data)-1 {
				t.Errorf("%+v", m)
			}
			if len(m.opts.rooms)+len(m.opts.except) > 0 && !reflect.DeepEqual([][]string{m.opts.rooms, m.opts.except}, [][]string{nonEmpty(opts.Rooms), nonEmpty(opts.Except)}) {
				t.Errorf("options %+v, want %+v", m.opts, opts)
			}
			args := "[" + string(m.event.Args) + "]"
			// The recording shows bytes as the reference does in JSON.
			args = strings.ReplaceAll(args, `{"_binary":true,"base64":"AQID"}`, `{"type":"Buffer","data":[1,2,3]}`)
			var got, expected []any
			rest, err := json.Marshal(packet.Data[1:])
			if err != nil {
				t.Fatal(err)
			}
			if json.Unmarshal([]byte(args), &got) != nil || json.Unmarshal(rest, &expected) != nil || len(got)+len(expected) > 0 && !reflect.DeepEqual(got, expected) {
				t.Errorf("arguments %s, want %s", args, rest)
			}
		})
	}
	if n < 10 {
		t.Errorf("%d messages only", n)
	}
}

func nonEmpty(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

func TestCapturedRequestsAreReadAsTheReferenceReadsThem(t *testing.T) {
	for _, c := range load(t) {
		if !strings.Contains(c.Channel, "-request") {
			continue
		}
		q, readable, err := parseRequest(c.raw(t), 1<<16)
		if err != nil || readable != (c.Encoding == "json") {
			t.Errorf("%s: %v, %v", c.Label, readable, err)
		}
		if !readable {
			continue
		}
		var want struct {
			Type  int
			Close bool
			Rooms []string
			Opts  *struct{ Rooms, Except []string }
		}
		if err := json.Unmarshal(c.Decoded, &want); err != nil {
			t.Fatal(err)
		}
		if q.Type != want.Type || q.Close != want.Close || !reflect.DeepEqual(texts(q.Rooms), append([]string{}, want.Rooms...)) ||
			(q.Opts == nil) != (want.Opts == nil) || q.Opts != nil && !reflect.DeepEqual(q.aim("/").Rooms, want.Opts.Rooms) {
			t.Errorf("%s: %+v", c.Label, q)
		}
	}
}

func TestAnEventIsOneValueToPlainClients(t *testing.T) {
	for want, e := range map[string]Event{"": {}, "1": {Args: []byte("1"), Count: 1}, "[1,2]": {Args: []byte("1,2"), Count: 2}, "[1]": {Args: []byte("[1]"), Count: 1}} {
		if got := string(e.Data()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// value reads one value.
func value(raw string, limit int) (string, error) {
	s := newScanner(raw, limit)
	err := s.value(0)
	return string(s.out), err
}

func TestValuesThatNodeDoesNotWrite(t *testing.T) {
	for raw, want := range map[string]string{
		"\xca\x3f\xc0\x00\x00":                                  "1.5",
		"\xcf\xff\xff\xff\xff\xff\xff\xff\xff":                  "18446744073709551615",
		"\xd3\x80\x00\x00\x00\x00\x00\x00\x00":                  "-9223372036854775808",
		"\x82\x01\x02\xff\xc3":                                  `{"1":2,"-1":true}`,
		"\xa2a\xff":                                             "\"a\ufffd\"",
		"\xdf\x00\x00\x00\x01\xd9\x01a\xdd\x00\x00\x00\x01\xc2": `{"a":[false]}`,
		"\xda\x00\x01a":                                         `"a"`,
		"\xd4\x00\x00":                                          "null",
		"\xd5\x00ab":                                            `{"_binary":true,"base64":"YWI="}`,
		"\xc5\x00\x01a":                                         `{"_binary":true,"base64":"YQ=="}`,
		"\xd7\xff\x00\x00\x00\x00\x00\x00\x00\x00":              `"1970-01-01T00:00:00.000Z"`,
		"\xc7\x0c\xff\x00\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff": "null",
	} {
		if got, err := value(raw, 0); err != nil || got != want {
			t.Errorf("%x: %s, %v", raw, got, err)
		}
	}
}

func TestMalformedValuesAreErrors(t *testing.T) {
	deep := strings.Repeat("\x91", maxDepth)
	for raw, want := range map[string]error{
		"": errTruncated, "\xc1": errKind, "\xa5a": errTruncated, "\xdb\xff\xff\xff\xff": errTruncated, "\xc6\xff\xff\xff\xffa": errTruncated,
		"\x92\x01": errTruncated, "\x92\x91\x01": errTruncated, "\xdd\xff\xff\xff\xff\x01": errTruncated, "\xdf\xff\xff\xff\xff\x01\x01": errTruncated,
		"\x81\xc0\x01": errKind, "\x81\x90\x01": errKind, "\xd6\x07abcd": errExtension, "\xc9\xff\xff\xff\xff\xff": errTruncated,
		"\xd5\xffab": errDate, "\xd7\xff\xff\xff\xff\xff\x00\x00\x00\x00": errDate, deep + "\x90": errDeep, deep + "\x80": errDeep,
	} {
		if got, err := value(raw, 0); !errors.Is(err, want) {
			t.Errorf("%x: %s, %v, want %v", raw, got, err, want)
		}
	}
	if got, err := value(deep+"\x01", 0); err != nil || jsonscan.Valid([]byte("["+"["+got+"]]")) != nil {
		t.Errorf("as deep as may be: %v", err)
	}
	if _, err := value(strings.Repeat("\x91", 1<<22), 0); !errors.Is(err, errDeep) {
		t.Error(err)
	}
	for _, raw := range []string{"\xcf\xff", "\xca", "\xcb\x00", "\xd9", "\xc7", "\xdc\x00", "\xde", "\xd3\x01"} {
		if got, err := value(raw, 0); err == nil {
			t.Errorf("%x: %s", raw, got)
		}
	}
	if _, err := value("\x93\xa3abc\xa3abc\xa3abc", 15); !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
}

func TestMessagesOfOtherShapesAreErrors(t *testing.T) {
	for name, raw := range map[string]string{
		"no array": "\x80", "too short": "\x92\xc0\x80", "no packet": "\x93\xc0\xc0\x80", "no options": "\x93\xc0\x80\xc0",
		"a text as type": "\x93\xc0\x81\xa4type\xa12\x80", "a room that is no name": "\x93\xc0\x80\x81\xa5rooms\x91\x90",
		"rooms that are no list": "\x93\xc0\x80\x81\xa5rooms\xa1a", "a namespace that is no name": "\x93\xc0\x81\xa3nsp\x90\x80",
	} {
		if m, err := parseMessage(raw, 0); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestFieldsMayComeInAnyOrderAndBeOthers(t *testing.T) {
	m, err := parseMessage("\x94\xc0\x84\xa4data\x92\xa1e\x07\xa2id\x05\xa3nsp\xa2/a\xa4type\x05\x83\xa6except\x91\x01\xa1x\x90\xa5rooms\xc0\x01", 100)
	if err != nil || m.event.Name != "e" || string(m.event.Args) != "7" || m.namespace != "/a" || m.kind != packetBinaryEvent || !reflect.DeepEqual(m.opts, options{except: []string{"1"}}) {
		t.Errorf("%+v, %v", m, err)
	}
}

func FuzzMessage(f *testing.F) {
	for _, c := range load(f) {
		f.Add(c.raw(f))
	}
	f.Add(wrap("e"))
	f.Add("\x93\xc0\x81\xa4data\x92\xa1e\xdd\xff\xff\xff\xff\x80")
	f.Fuzz(func(t *testing.T, raw string) {
		const limit = 1 << 12
		m, err := parseMessage(raw, limit)
		if err == nil {
			checkEvent(t, &m.event, limit)
		}
		if q, ok, err := parseRequest(raw, limit); ok && err == nil && q.Opts != nil {
			q.aim("/")
		}
	})
}

// checkEvent checks that an event is what clients may get.
func checkEvent(t *testing.T, e *Event, limit int) {
	t.Helper()
	if data := e.Data(); data != nil && jsonscan.Valid(data) != nil || len(e.Args) > limit {
		t.Fatalf("not JSON, or too much: %s", data)
	}
	var all []json.RawMessage
	if err := json.Unmarshal([]byte("["+string(e.Args)+"]"), &all); err != nil || len(all) != e.Count {
		t.Fatalf("%d arguments: %s, %v", e.Count, e.Args, err)
	}
	if data, parts := socketio.Detach(socketio.EventData(e.Name, e.Args)); jsonscan.Valid(data) != nil {
		t.Fatalf("%s and %d attachments", data, len(parts))
	}
}

func BenchmarkMessage(b *testing.B) {
	raw := load(b)[0]
	text := raw.raw(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseMessage(text, 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}
