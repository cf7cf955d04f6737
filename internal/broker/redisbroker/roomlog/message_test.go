package roomlog

import (
	"reflect"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestABlobHoldsAllOfAPublication(t *testing.T) {
	for name, p := range map[string]wire.Publication{
		"everything": {
			Event: "said", Publisher: "ann", Origin: "conn", ConflateKey: "price", NoEcho: true,
			Except: []string{"a", "b"}, Data: []byte(`{"text":"\u0000 €"}`),
		},
		"little": {Event: "x", Data: []byte(`null`)},
		"long":   {Event: strings.Repeat("e", 300), Data: []byte(`"` + strings.Repeat("x", 70_000) + `"`)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeBlob(encodeBlob(&p))
			if err != nil || !reflect.DeepEqual(*got, p) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestAnIdempotencyKeyIsNotInTheLog(t *testing.T) {
	if b := encodeBlob(&wire.Publication{IdempotencyKey: "secret"}); strings.Contains(string(b), "secret") {
		t.Errorf("%q", b)
	}
}

func TestMessagesAreRead(t *testing.T) {
	blob := string(encodeBlob(&wire.Publication{Event: "said", Data: []byte(`1`)}))
	pub := &wire.Publication{
		Room: "room", Event: "said", Data: []byte(`1`), Time: 1700000000000,
		Position: wire.Position{Epoch: 0xabc, Offset: 7, Nonce: 8},
	}
	for name, c := range map[string]struct {
		text string
		want Message
	}{
		"a publication":  {"1P 000000000abc 7 8 9 1700000000000\n" + blob, Message{Kind: Published, Pub: pub, Prev: 9}},
		"an epoch's end": {"1E 000000000abc 7 8", Message{Kind: EpochEnded, Top: pub.Position}},
		"a notice":       {"1Nhello\n", Message{Kind: Notice, Payload: []byte("hello\n")}},
		"a canary":       {string(CanaryPayload([]byte("x"))), Message{Kind: Canary, Payload: []byte("x")}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Decode("room", []byte(c.text)); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestWhatNoGatewayWritesIsRefused(t *testing.T) {
	blob := string(encodeBlob(&wire.Publication{Event: "said", Data: []byte(`1`)}))
	for name, text := range map[string]string{
		"nothing":                    "",
		"a version alone":            "1",
		"another version":            "2P 0 0 8 0 1\n" + blob,
		"another kind":               "1Z",
		"no line break":              "1P 0 0 8 0 1",
		"a number too few":           "1P 0 0 8 0\n" + blob,
		"a number too many":          "1P 0 0 8 0 1 1\n" + blob,
		"two spaces":                 "1P  0 0 8 0 1\n" + blob,
		"a sign":                     "1P 0 -1 8 0 1\n" + blob,
		"an offset beyond 53 bits":   "1P 0 9007199254740992 8 0 1\n" + blob,
		"a nonce beyond 48 bits":     "1P 0 1 281474976710656 0 1\n" + blob,
		"an epoch beyond 48 bits":    "1P 1000000000000 1 8 0 1\n" + blob,
		"a number beyond all":        "1P 0 99999999999999999999 8 0 1\n" + blob,
		"no blob":                    "1P 0 0 8 0 1\n",
		"another version of blobs":   "1P 0 0 8 0 1\n\x02" + blob[1:],
		"a blob that is cut":         "1P 0 0 8 0 1\n" + blob[:5],
		"too many spared":            "1P 0 0 8 0 1\n\x01\x00\x00\x00\x00\x00\xff\xff\xff\xff\x0f",
		"a length beyond 64 bits":    "1P 0 0 8 0 1\n\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
		"an epoch without an offset": "1E 1",
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := Decode("room", []byte(text)); err == nil || m.Kind != 0 {
				t.Errorf("read as %+v, %v", m, err)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	blob := encodeBlob(&wire.Publication{Event: "said", Publisher: "ann", Except: []string{"a"}, Data: []byte(`1`)})
	f.Add(append([]byte("1P 000000000abc 7 8 9 1700000000000\n"), blob...))
	f.Add([]byte("1E 000000000abc 7 8"))
	f.Add([]byte("1E"))
	f.Add([]byte("1Nx"))
	f.Add([]byte("1P 0 0 8 0 1\n\x01\x00\x00\x00\x00\x00\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := Decode("room", payload)
		if (err == nil) == (m.Kind == 0) || (m.Kind == Published) != (m.Pub != nil) {
			t.Fatalf("%q is read as %+v, %v", payload, m, err)
		}
		if m.Pub == nil {
			return
		}
		if m.Pub.Position.Offset > maxOffset || m.Pub.Position.Nonce > wire.Bits48 || m.Pub.Time < 0 {
			t.Fatalf("%q is read as %+v", payload, *m.Pub)
		}
		again, err := decodeBlob(encodeBlob(m.Pub))
		if err != nil {
			t.Fatal(err)
		}
		again.Room, again.Position, again.Time = m.Pub.Room, m.Pub.Position, m.Pub.Time
		if !reflect.DeepEqual(again, m.Pub) {
			t.Fatalf("%+v became %+v", *m.Pub, *again)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	blob := encodeBlob(&wire.Publication{Event: "said", Publisher: "ann", Origin: "conn", Data: hundred})
	payload := append([]byte("1P 000000000abc 7 8 9 1700000000000\n"), blob...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode("room", payload); err != nil {
			b.Fatal(err)
		}
	}
}
