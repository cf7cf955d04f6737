package httpapi_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAConnectionTellsWhatAnOperatorAsks(t *testing.T) {
	r := begin(t)
	begun := time.Now().Truncate(time.Second).UnixMilli()
	ann := r.join("ann", "lobby")
	ann.read() // the queue of a pipe is what the test has not taken
	type connection struct {
		Protocol, Transport     string
		ConnectedAt, LastSeenAt int64
		QueueBytes, Rooms       int
	}
	at := "/connections/" + ann.s.ID()
	got := good[connection](t, r.get(at))
	if got.Protocol != "gateway.v1" || got.Transport != "pipe" || got.ConnectedAt < begun || got.ConnectedAt > time.Now().UnixMilli() ||
		got.LastSeenAt != 0 || got.QueueBytes != 0 || got.Rooms != 2 {
		t.Errorf("%+v", got)
	}
	good[published](t, r.post("/publish", `{"room":"lobby","event":"e","data":"`+strings.Repeat("d", 1000)+`"}`))
	for begun := time.Now(); got.QueueBytes < 1000; got = good[connection](t, r.get(at)) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("%d bytes are queued", got.QueueBytes)
		}
	}
}

type seats struct {
	Connection string
	Count      int
	Rooms      []struct {
		Room   string
		Offset uint64
		Pos    string
	}
	Next string
}

func TestTheRoomsOfAConnectionComeInPagesWithTheirPositions(t *testing.T) {
	r := begin(t)
	ann := r.join("ann", "many:1", "lobby", "many:2")
	good[published](t, r.post("/publish", `{"room":"lobby","event":"e"}`))
	ann.until("e")
	var names []string
	at := "/connections/" + ann.s.ID() + "/rooms"
	for after, pages := "", 0; pages == 0 || after != ""; pages++ {
		page := good[seats](t, r.get(at+"?limit=3&after="+url.QueryEscape(after)))
		if page.Count != 4 || page.Connection != ann.s.ID() || pages > 1 {
			t.Fatalf("page %d: %+v", pages, page)
		}
		for _, room := range page.Rooms {
			names = append(names, room.Room)
			if (room.Room == "lobby") != (room.Offset == 1) || (room.Room == "lobby") != (room.Pos != "") {
				t.Errorf("%+v", room)
			}
		}
		after = page.Next
	}
	if !slices.Equal(names, []string{"lobby", "many:1", "many:2", "user:ann"}) {
		t.Errorf("%q", names)
	}
	refused(t, r.get("/connections/nobody/rooms"), 404, "not_found")
}

func TestARoomTellsItsRuleItsPositionAndHowManyAreInIt(t *testing.T) {
	r := begin(t)
	r.join("ann", "lobby")
	r.join("bob", "lobby")
	for range 3 {
		good[published](t, r.post("/publish", `{"room":"lobby","event":"e"}`))
	}
	for room, want := range map[string]string{
		"lobby":   `{"room":"lobby","connections":2,"rule":{"match":"lobby","join":"anyone","publish":"member","history":{"size":10},"presence":false,"slow":"disconnect","durability":"async"},"offset":3,"pos":"`,
		"many:1":  `{"room":"many:1","connections":0,"rule":{"match":"many:*","join":"anyone","publish":"member","presence":false,"slow":"disconnect","durability":"async"}}`,
		"prices":  `{"room":"prices","connections":0,"rule":{"match":"prices","join":"backend","publish":"backend","history":{"size":5,"ageMs":60000},"presence":false,"slow":"conflate","durability":"replicated"}`,
		"ticks":   `{"room":"ticks","connections":0,"rule":{"match":"ticks","join":"ask","publish":"nobody","presence":true,"slow":"drop_oldest","durability":"async"}}`,
		"nowhere": `{"room":"nowhere","connections":0}`,
		"user:ann": `{"room":"user:ann","connections":1,"rule":{"match":"user:*","join":"owner","publish":"backend",` +
			`"history":{"size":10},"presence":false,"slow":"disconnect","durability":"async"}`,
	} {
		if got := r.get("/rooms/" + room); got.status != 200 || !strings.HasPrefix(string(got.body), want) {
			t.Errorf("%v\nwant %s", got, want)
		}
	}
	refused(t, r.get("/rooms/a%20b"), 400, "invalid_message")
}

func TestTheSettingsAreToldWithPolicyReloadsAndHealth(t *testing.T) {
	r := begin(t)
	type told struct {
		Instance, Version string
		Settings          []struct {
			Name, Value, Default, Mode string
			Changed, Secret            bool
		}
		Notes  []string
		Policy struct {
			Source, YAML string
			Since        int64
		}
		Reloads []struct{ Name string }
		Health  struct {
			Status string
			Checks []struct {
				Name, Message string
				Healthy       bool
			}
		}
	}
	answer := r.get("/settings")
	got := good[told](t, answer)
	if got.Instance != instance || got.Version != "v0" || len(got.Settings) != 3 || got.Settings[1].Value != "(secret)" || got.Settings[2].Mode == "" {
		t.Errorf("%+v", got)
	}
	if got.Policy.YAML != rooms || got.Policy.Since == 0 || fmt.Sprint(got.Reloads) != "[{policy}]" || len(got.Notes) != 1 {
		t.Errorf("%+v", got)
	}
	if got.Health.Status != "degraded" || len(got.Health.Checks) != 2 || got.Health.Checks[0].Message != "failed" {
		t.Errorf("%+v", got.Health)
	}
	if strings.Contains(string(answer.body), "10.0.0.7") {
		t.Errorf("internal text is answered: %s", answer.body)
	}
}
