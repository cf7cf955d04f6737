package fleet

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// replies are what came of a question, by connection: what was answered, or why
// nothing was.
type replies struct {
	status  int
	code    string
	by      map[string]string
	missing []string
}

// question asks a user or a connection, for so many milliseconds.
func (g *gateway) question(whom, id, what string, ms int) replies {
	body, err := json.Marshal(map[string]any{whom: id, "event": "confirm", "data": what, "timeoutMs": ms})
	if err != nil {
		g.t.Error(err)
	}
	status, raw := g.ask(http.MethodPost, "http://"+g.admin+"/api/v1/ask", body)
	var a struct {
		Code    string
		Answers []struct {
			Connection string
			Data       json.RawMessage
		}
		Unanswered []struct{ Connection, Reason string }
		Missing    []string
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		g.t.Errorf("%s: POST ask: %d %v: %s", g.name, status, err, raw)
	}
	out := replies{status, a.Code, map[string]string{}, a.Missing}
	for _, one := range a.Answers {
		out.by[one.Connection] = string(one.Data)
	}
	for _, one := range a.Unanswered {
		out.by[one.Connection] = one.Reason
	}
	return out
}

// is checks what came; code "" means that it is a 200.
func (r replies) is(t *testing.T, code string, want map[string]string) {
	t.Helper()
	if r.code != code || (r.status == http.StatusOK) != (code == "") || len(r.missing) > 0 || !maps.Equal(r.by, want) {
		t.Errorf("got %+v, want %q %v", r, code, want)
	}
}

func TestTheClientsOfAllInstancesAnswerABackend(t *testing.T) {
	f := start(t, "")
	a, b, c := f.spawn("a"), f.spawn("b"), f.spawn("c")
	f.settle()
	here, there := runApp(t, a.gateway, "ann", "websocket"), runApp(t, b.gateway, "ann")
	idOf := func(one *app) string {
		lines := one.sees("connected ")
		return strings.Fields(lines[len(lines)-1])[1]
	}
	idHere, idThere := idOf(here), idOf(there)
	c.connect("zoe") // a plain client
	answer := func(id string) string { return fmt.Sprintf(`["yes",%q]`, id) }

	for _, g := range f.all { // wherever the backend asks
		g.question("user", "ann", "yes", 30_000).is(t, "", map[string]string{idHere: answer(idHere), idThere: answer(idThere)})
		g.question("connection", idThere, "yes", 30_000).is(t, "", map[string]string{idThere: answer(idThere)})
		g.question("user", "zoe", "yes", 30_000).is(t, "conflict", map[string]string{})
		g.question("connection", "nobody", "yes", 30_000).is(t, "not_found", map[string]string{})
	}

	c.question("user", "ann", "hush", 1000).is(t, "", map[string]string{idHere: "timeout", idThere: "timeout"})
	for _, one := range []*app{here, there} {
		one.sees("confirm hush")
	}

	// An instance dies while it waits for its client: the time-out holds.
	asked := make(chan replies, 1)
	go func() { asked <- a.question("user", "ann", "hush", 3000) }()
	there.sees("confirm hush")
	b.kill()
	(<-asked).is(t, "", map[string]string{idHere: "timeout", idThere: "timeout"})
	f.forget(b.gateway)
	f.settle() // a and c know that b has gone

	there.tell("http://" + c.public) // where its balancer leads to
	again := idOf(there)
	a.question("user", "ann", "yes", 30_000).is(t, "", map[string]string{idHere: answer(idHere), again: answer(again)})

	// One that stops says what becomes of its clients.
	go func() { asked <- a.question("user", "ann", "hush", 30_000) }()
	there.sees("confirm hush")
	c.stop()
	a.done("disconnect", map[string]any{"connection": idHere})
	(<-asked).is(t, "", map[string]string{idHere: "gone", again: "gone"})
}
