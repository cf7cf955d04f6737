package sioproto

import (
	"testing"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
	"github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// The gateway's own codec is the other side.
var server = socketio.For("/").Recoverable()

func TestTheGatewayReadsRequests(t *testing.T) {
	var d Dialect
	tests := map[string]struct {
		packet      []byte
		event, id   string
		data        string
		acknowledge bool
	}{
		"join":         {gwproto.AppendJoin(d, nil, 7, "r", nil), "join_room", "7", `{"room":"r"}`, true},
		"join, resume": {gwproto.AppendJoin(d, nil, 7, "r", []byte("a.1.b")), "join_room", "7", `{"room":"r","since":"a.1.b"}`, true},
		"leave":        {gwproto.AppendLeave(d, nil, 8, "r"), "leave_room", "8", `{"room":"r"}`, true},
		"publish": {
			gwproto.AppendPublish(d, nil, 0, &gwproto.Publish{Room: "r", NoEcho: true, Body: gwproto.Body{Stream: 1, Seq: 2, Sent: 3}}),
			"publish", "", `{"room":"r","echo":false,"event":"m","data":{"p":1,"s":2,"t":3}}`, false,
		},
		"ping": {gwproto.AppendPing(d, nil, 9, 0), "ping", "9", `{"x":""}`, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.packet[0] != '4' {
				t.Fatalf("no message of Engine.IO: %s", tt.packet)
			}
			var req wire.Request
			if err := server.Decode(wire.Text, tt.packet[1:], &req); err != nil {
				t.Fatal(err)
			}
			if req.Event != tt.event || string(req.ID) != tt.id || (req.ID != nil) != tt.acknowledge || string(req.Data) != tt.data {
				t.Errorf("%s %s %s", req.Event, req.ID, req.Data)
			}
		})
	}
}

func TestTheGatewayReadsAConnect(t *testing.T) {
	for want, packet := range map[string][]byte{"ann": AppendConnect(nil, []byte("ann")), "": AppendConnect(nil, nil)} {
		p, err := socketio.Header(packet[1:])
		if err != nil {
			t.Fatal(err)
		}
		if auth, err := p.Auth(); err != nil || auth.Token != want {
			t.Errorf("%s: %+v %v", packet, auth, err)
		}
	}
}

func TestRequestsHaveTheSizeAskedFor(t *testing.T) {
	if n := len(gwproto.AppendPing(Dialect{}, nil, 9, 200)); n != 200 {
		t.Errorf("%d bytes", n)
	}
}

func TestWhatTheGatewayWritesIsRead(t *testing.T) {
	at := wire.Position{Epoch: 3, Offset: 12, Nonce: 5}
	pos, _ := at.AppendText(nil)
	tests := map[string]struct {
		frame *wire.Frame
		want  [5]string // event, id, room, data, pos
	}{
		"publication": {
			server.Publication(&wire.Publication{Room: "r-1", Event: "m", Data: []byte(`{"p":1,"x":"],[\""}`), Position: at}),
			[5]string{"m", "", "r-1", `{"p":1,"x":"],[\""}`, string(pos)},
		},
		"reply": {server.Event(wire.Event{Name: "room_joined", ID: []byte("1"), Data: []byte(`{"room":"r"}`)}), [5]string{"room_joined", "1", "", `{"room":"r"}`, ""}},
		"error": {server.Event(wire.Event{Name: "error", ID: []byte("2"), Data: []byte(`{"code":"x"}`)}), [5]string{"error", "2", "", `{"code":"x"}`, ""}},
		"event": {server.Event(wire.Event{Name: "connected", Data: []byte(`{"a":[1]}`)}), [5]string{"connected", "", "", `{"a":[1]}`, ""}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var e gwproto.Envelope
			b := tt.frame.Payload()
			if KindOf(b) != Message || !(Dialect{}).Scan(b, &e) {
				t.Fatalf("refused: %s", b)
			}
			if got := [5]string{string(e.Event), string(e.ID), string(e.Room), string(e.Data), string(e.Pos)}; got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if name == "publication" && (!e.HasOffset || e.Offset != 12) {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestPacketsOfTheLayersBelowAreTold(t *testing.T) {
	tests := map[string]Kind{
		`0{"sid":"x"}`: Open, "2": Ping, "1": Ended, string(server.Connected("s", "p").Payload()): Connected,
		string(server.Refused("no", nil).Payload()): Ended, string(server.Disconnected().Payload()): Ended, "": Message, "4": Message, "9": Message,
	}
	for packet, want := range tests {
		if got := KindOf([]byte(packet)); got != want {
			t.Errorf("%q is %d, want %d", packet, got, want)
		}
	}
}

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	for _, in := range []string{"", "42", "42[]", "42[5]", `42["m"`, `42["m",`, `427["m",1]`, `43[{"ok":true}]`, `431[]`, `431[{"ok":true}]`, `{"event":"m"}`, `52["m"]`} {
		var e gwproto.Envelope
		if (Dialect{}).Scan([]byte(in), &e) {
			t.Errorf("%q passed: %+v", in, e)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte(`42["m",{"p":1},{"room":"r","offset":12,"pos":"a.12.b"},"r a.12.b"]`))
	f.Add([]byte(`4312[{"ok":true,"event":"published","data":{}}]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var e gwproto.Envelope
		if (Dialect{}).Scan(in, &e) && (len(e.Event) == 0 || KindOf(in) != Message) {
			t.Errorf("%q: %+v", in, e)
		}
	})
}
