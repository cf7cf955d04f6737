package abuse

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// kept keeps what is published, for a moment.
const kept = "version: 1\nrooms:\n  - match: \"**\"\n    join: anyone\n    publish: member\n    history: {size: 10000, age: 5s}\n"

func TestAboveTheMemoryBudgetNobodyNewIsLetIn(t *testing.T) {
	const budget = 32 << 20
	a := start(t, kept, fmt.Sprint("MEMORY_BUDGET_BYTES=", budget), "IDEMPOTENCY_TTL=1s", "MAX_MESSAGE_BYTES=1048576")
	before := a.baseline(t)
	c := a.dial(t, "flooder")
	c.SetReadLimit(1 << 20)
	c.ask(t, "join_room", `{"room":"flood"}`)
	// Large ones: the budget is to be passed before the first is forgotten, on a
	// slow machine too.
	const size = 900 << 10
	big := fmt.Sprintf(`{"room":"flood","event":"m","data":%q,"echo":false}`, strings.Repeat("x", size))
	refused := false
	for i := 0; !refused && i < 10*budget/size; i++ {
		if m := c.ask(t, "publish", big); m.Event != "published" {
			t.Fatalf("%s %s", m.Event, m.Data)
		}
		if i%10 == 9 {
			refused = a.full(t)
		}
	}
	if !refused {
		t.Fatal("everybody is let in, whatever is in use")
	}
	if m := c.ask(t, "ping", `{}`); m.Event != "pong" {
		t.Errorf("who was there is not served: %s %s", m.Event, m.Data)
	}
	if n := a.metric(t, `ws_gateway_upgrades_refused_total{reason="memory"}`); n == 0 {
		t.Error("not counted")
	}
	c.cut()
	eventually(t, "there is memory again", func() bool {
		runtime.GC() // as in a busy process; an idle one is collected every 10 s while it refuses
		return !a.full(t)
	})
	a.settled(t, before)
}

// full tells whether the gateway refuses for want of memory.
func (a *app) full(t *testing.T) bool {
	t.Helper()
	c, resp, err := a.try(t, "somebody")
	if err == nil {
		c.cut()
		return false
	}
	if resp == nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Fatalf("%v %v", resp, err)
	}
	return true
}
