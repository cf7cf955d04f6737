package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/config"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/modules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const apiKey = "a key of this test's backend"

// serve runs a gateway in this process.
func serve(t *testing.T) (clients, admin string) {
	t.Helper()
	cfg, err := config.Load([]string{"HOST=127.0.0.1", "PORT=0", "ADMIN_PORT=0", "AUTH_MODE=development", "DRAIN_WINDOW=0s", "ADMIN_API_KEYS=" + apiKey}, "test")
	if err != nil {
		t.Fatal(err)
	}
	var servers *server.Servers
	app := fxtest.New(t, modules.App(cfg, zap.NewNop(), nil), fx.Populate(&servers))
	app.RequireStart()
	t.Cleanup(app.RequireStop)
	return "http://" + servers.PublicAddr().String(), "http://" + servers.AdminAddr().String()
}

func TestAllThatIsAcknowledgedArrives(t *testing.T) {
	address, admin := serve(t)
	for name, cfg := range map[string]Config{
		"published by the API":    {Backends: []string{admin}, Key: apiKey},
		"published by WebSockets": {},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Address, cfg.Sockets, cfg.Pollers, cfg.Rooms, cfg.Rate = address, 6, 4, 2, 50
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			tr, err := Start(ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			for tr.Published() < 20 {
				if err := pause(ctx, 10*time.Millisecond); err != nil {
					t.Error("no 20 messages are acknowledged")
					break
				}
			}
			for name, n := range tr.Instances() {
				if n != 10 {
					t.Errorf("%d clients are on %q", n, name)
				}
			}
			rep, err := tr.Stop(ctx)
			if err != nil {
				t.Error(err)
			}
			if rep.Delivered < rep.Acknowledged*5 || rep.Reconnects > 0 {
				t.Error(rep)
			}
		})
	}
}

func TestWhatMustNotBeIsAFault(t *testing.T) {
	publication := func(offset uint64, key string) event {
		return event{Event: "traffic", Room: "room", Offset: offset, Pos: "pos", Data: json.RawMessage(fmt.Sprintf(`{"key":%q}`, key))}
	}
	told := func(name string) event {
		return event{Event: name, Data: json.RawMessage(`{"room":"room","reason":"slow"}`)}
	}
	for name, c := range map[string]struct {
		events []event
		acks   []ack
		resume *said
		want   string
	}{
		"nothing":                       {events: []event{publication(8, "a"), publication(9, "b")}, acks: []ack{{"a", 8}, {"b", 9}}},
		"a repeat":                      {events: []event{publication(8, "a"), publication(8, "a")}},
		"a hole":                        {events: []event{publication(9, "a")}, want: "gets 9 of room after 7"},
		"another message in its place":  {events: []event{publication(8, "a"), publication(8, "b")}, want: "has b at 8, where a was"},
		"another message acknowledged":  {events: []event{publication(8, "a")}, acks: []ack{{"b", 8}}, want: "has b at 8, where a was"},
		"a message twice":               {events: []event{publication(8, "a"), publication(9, "a")}, want: "has a at"},
		"a gap":                         {events: []event{told("gap")}, want: "told gap of room: slow"},
		"the end of the membership":     {events: []event{told("room_left")}, want: "told room_left"},
		"a resume that is refused":      {resume: &said{Room: "room", Reason: "trimmed"}, want: "cannot resume room after 7: trimmed"},
		"a resume":                      {resume: &said{Room: "room", Recovered: true}},
		"an acknowledged one not there": {acks: []ack{{"a", 8}}, want: "lack what was acknowledged: user has room up to 7 of 8"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &Traffic{}
			r := &room{name: "room", keys: map[uint64]string{}}
			cl := &client{t: tr, user: "user", room: r, since: "pos", got: 7}
			tr.rooms, tr.clients = []*room{r}, []*client{cl}
			for _, e := range c.events {
				if err := cl.take(e, e.said()); err != nil {
					t.Fatal(err)
				}
			}
			for _, a := range c.acks {
				if err := r.acknowledged(a.offset, a.key); err != nil {
					tr.fault("%v", err)
				}
			}
			if c.resume != nil {
				cl.joined("instance", *c.resume)
			}
			if err := tr.lacking(); err != nil {
				tr.fault("%v", err)
			}
			for _, text := range r.missing() {
				tr.fault("%s", text)
			}
			err := tr.report().err()
			if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
