package console

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

// tile is what a tile of the Live view shows.
func tile(b *browser.Tab, figure string) string {
	return browser.Eval[string](b, `document.querySelector(%s)?.innerText ?? ''`, browser.Quote(`[data-testid="live-`+figure+`"]`))
}

// instanceRow is the row of an instance, "" without one.
func instanceRow(b *browser.Tab, name string) string {
	return browser.Eval[string](b, `[...document.querySelectorAll('[data-testid="live-instances"] tbody tr')]
		.find((row) => row.querySelector('th').innerText === %s)?.innerText ?? ''`, browser.Quote(name))
}

// points is how many points the longest line of a chart has.
func points(b *browser.Tab, chart string) int {
	return browser.Eval[int](b, `Math.max(0, ...[...document.querySelectorAll(%s)]
		.map((line) => line.getAttribute('points').split(' ').length))`, browser.Quote(`[data-testid="live-`+chart+`"] polyline`))
}

// refused sends a request that must be answered with an error.
func refused(c *client, event string, data any) {
	c.t.Helper()
	c.lastID++
	raw, err := json.Marshal(map[string]any{"event": event, "id": c.lastID, "data": data})
	if err == nil {
		err = c.conn.Write(c.t.Context(), websocket.MessageText, raw)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.await("error", c.lastID)
}

func TestTheLiveViewFollowsTheFleetAndItsInstances(t *testing.T) {
	f := start(t)
	ann, ben := f.one.connect(t, "ann"), f.two.connect(t, "ben")
	for _, c := range []*client{ann, ben} {
		c.request("join_room", map[string]any{"room": "lobby"})
	}
	b := f.open(t, "live")
	b.Until("both connections are counted", func() bool { return tile(b, "connections") == "2" })
	for _, name := range []string{"one", "two"} {
		b.Until("a row of "+name, func() bool { return strings.Contains(instanceRow(b, name), "ready") })
	}
	b.Until("a line goes on", func() bool { return points(b, "connections") > 2 })

	publish := func() {
		ann.request("publish", map[string]any{"room": "lobby", "event": "chat", "data": "hello"})
	}
	b.Until("what is published shows", func() bool {
		publish()
		d := strings.TrimSuffix(tile(b, "deliveries"), "/s")
		n, err := strconv.ParseFloat(d, 64)
		return err == nil && n > 0 && tile(b, "p99") != "—" && tile(b, "p50") != "—"
	})
	b.Until("errors show", func() bool {
		refused(ann, "publish", map[string]any{"room": "user:ben", "event": "chat", "data": 1})
		return strings.Trim(tile(b, "errors"), "0/s") != ""
	})
	for _, chart := range []string{"connections", "deliveries", "latency", "messages", "errors", "slow"} {
		label := browser.Eval[string](b, `document.querySelector(%s).getAttribute('aria-label')`, browser.Quote(`[data-testid="live-`+chart+`"] svg`))
		if !strings.Contains(label, "now") {
			t.Errorf("the chart of %s says %q", chart, label)
		}
	}
	b.Click(`[data-testid="live-numbers"] summary`)
	b.WaitText(`[data-testid="live-numbers"]`, "Publish until stored, 99 % within")
	inspect(t, b, "live")
	b.MustBeRight()

	// An instance comes, and one goes; the lines of both stay.
	three := f.add("three")
	b.Until("a third instance shows", func() bool { return instanceRow(b, "three") != "" })
	b.WaitText(".live-legend", "three")
	three.stop()
	b.Until("it is gone again", func() bool { return instanceRow(b, "three") == "" })
	b.WaitText(".live-legend", "three")
}

func TestTheLiveViewSaysWhenItIsNotUpToDate(t *testing.T) {
	f := start(t)
	b := f.open(t, "live")
	b.WaitText(`[data-testid="live-status"]`, "Up to date")
	f.one.kill()
	b.WaitText(`[data-testid="live-status"]`, "Not up to date: The gateway does not answer.")
}

// TestTheStatisticsOfTheFleetAreCounted asks for them as a backend would.
func TestTheStatisticsOfTheFleetAreCounted(t *testing.T) {
	f := start(t)
	ann := f.one.connect(t, "ann")
	ann.request("join_room", map[string]any{"room": "lobby"})
	for range 5 {
		ann.request("publish", map[string]any{"room": "lobby", "event": "chat", "data": "hello"})
	}
	refused(ann, "publish", map[string]any{"room": "user:ben", "event": "chat", "data": 1})
	ben := f.two.connect(t, "ben")
	ben.close()
	type statistics struct {
		Instance                                               string
		Connections, Connects, Messages, Published, Deliveries int
		Errors, Disconnects                                    map[string]int
		Latencies                                              map[string]struct{ Count int }
	}
	var got struct{ Instances []statistics }
	until(t, "all is counted", func() bool {
		got.Instances = nil
		if status := f.two.ask("GET", "/api/v1/statistics", nil, &got); status != 200 || len(got.Instances) != 2 {
			t.Fatalf("%d %+v", status, got)
		}
		one, two := got.Instances[0], got.Instances[1]
		return one.Instance == "one" && one.Connections == 1 && one.Connects == 1 && one.Published == 5 && one.Deliveries == 5 &&
			one.Errors["forbidden"] == 1 && one.Messages == 7 && one.Latencies["publish"].Count == 5 &&
			two.Connections == 0 && two.Connects == 1 && sum(two.Disconnects) == 1
	})
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}
