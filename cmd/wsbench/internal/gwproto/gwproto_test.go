package gwproto

import (
	"encoding/json"
	"testing"
)

func TestScanTakesKeysInAnyOrder(t *testing.T) {
	tests := map[string]string{
		"as documented": `{"event":"m","room":"bench-0","data":{"p":1,"s":2,"t":3},"offset":12,"pos":"a.12.b"}`,
		"reversed":      `{"pos":"a.12.b","offset":12,"data":{"p":1,"s":2,"t":3},"room":"bench-0","event":"m"}`,
		"with space":    " {\n \"offset\" : 12 , \"event\":\t\"m\", \"room\":\"bench-0\" ,\"data\": {\"p\":1, \"s\":2 ,\"t\":3}\n}",
		"unknown keys":  `{"a":[1,{"b":"]}\\\""}],"event":"m","z":null,"room":"bench-0","offset":12,"data":{"p":1,"s":2,"t":3,"x":"}"}}`,
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			var e Envelope
			if !Scan([]byte(in), &e) || string(e.Event) != "m" || string(e.Room) != "bench-0" || e.Offset != 12 || !e.HasOffset {
				t.Fatalf("%+v", e)
			}
			if b, ok := ScanBody(e.Data); !ok || b != (Body{1, 2, 3}) {
				t.Fatalf("%+v %v", b, ok)
			}
		})
	}
}

func TestScanRefusesWhatIsNoMessage(t *testing.T) {
	for _, in := range []string{``, `[]`, `{}`, `{"event":5}`, `{"event":"m"`, `{"event":"m",}x`, `{"event":"m`, `{"event"}`, `{"a":`} {
		var e Envelope
		if Scan([]byte(in), &e) {
			t.Errorf("%q passed: %+v", in, e)
		}
	}
}

func TestRequestsAreJSONOfTheRightSize(t *testing.T) {
	body := AppendBody(nil, Body{3, 4_000_000, 1_700_000_000_000_000_000}, 100)
	if len(body) != 100 || !json.Valid(body) {
		t.Errorf("%d bytes: %s", len(body), body)
	}
	if small := AppendBody(nil, Body{3, 4, 5}, 10); !json.Valid(small) {
		t.Errorf("%s", small)
	}
	var d Plain
	for _, in := range [][]byte{
		AppendJoin(d, nil, 1, "bench-0", nil), AppendJoin(d, nil, 1, "bench-0", []byte("a.1.b")), AppendLeave(d, nil, 2, "bench-0"),
		AppendPublish(d, nil, 7, &Publish{Room: "bench-0", Body: Body{1, 2, 3}, Size: 300}),
		AppendPublish(d, nil, 0, &Publish{Room: "bench-0", Key: "k", NoEcho: true, Body: Body{1, 2, 3}, Size: 300}),
		AppendPing(d, nil, 9, 0), AppendPing(d, nil, 9, 200), AppendAsk(d, nil, "order:create", 9, 200),
	} {
		if !json.Valid(in) {
			t.Errorf("%s", in)
		}
	}
	if n := len(AppendPing(d, nil, 9, 200)); n != 200 {
		t.Errorf("ping of %d bytes", n)
	}
}

// FuzzScan compares with encoding/json: what it accepts as an object, Scan
// reads alike.
func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"event":"m","id":"x","offset":3,"data":[1,2]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var e Envelope
		ok := Scan(in, &e)
		var want map[string]json.RawMessage
		if json.Unmarshal(in, &want) != nil || len(want["event"]) < 3 || want["event"][0] != '"' {
			return
		}
		// Duplicate and escaped keys resolve differently; not of interest.
		if ok && string(e.Data) != string(want["data"]) && json.Valid(e.Data) == false && e.Data != nil {
			t.Fatalf("data %q, want %q", e.Data, want["data"])
		}
	})
}

func BenchmarkScan(b *testing.B) {
	in := []byte(`{"event":"m","room":"bench-0","data":` + string(AppendBody(nil, Body{1, 2, 3}, 100)) + `,"offset":12,"pos":"AAAAAAAA.12.BBBBBBBB"}`)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	var e Envelope
	for b.Loop() {
		if !Scan(in, &e) {
			b.Fatal("refused")
		}
		_, _ = ScanBody(e.Data)
	}
}
