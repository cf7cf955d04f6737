package httpapi_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// oracle answers all questions alike, and remembers the last.
type oracle struct {
	answers fleet.Answers
	to      router.Target
	q       fleet.Question
}

func (o *oracle) Ask(_ context.Context, to router.Target, q fleet.Question) (fleet.Answers, error) {
	o.to, o.q = to, q
	return o.answers, nil
}

func TestAQuestionAndItsAnswersAreToldAsTheyAre(t *testing.T) {
	o := &oracle{}
	r := start(t, setup{keys: []string{key}, parts: func(p *httpapi.Parts) { p.Asker = o }})
	if got := r.post("/ask", `{"user":"ann","event":"e"}`); strings.TrimSpace(string(got.body)) != `{"answers":[],"unanswered":[]}` {
		t.Errorf("nobody: %v", got)
	}
	if o.to != (router.Target{User: "ann"}) || o.q.Wait != 5*time.Second || o.q.Event != "e" || o.q.Data != nil {
		t.Errorf("asked %+v %+v", o.to, o.q)
	}

	o.answers = fleet.Answers{
		Answers: []fleet.Answer{
			{Connection: "a", Data: []byte(`{"n": 1, "t": "<é>"}`)}, {Connection: "b", Silence: fleet.Late}, {Connection: "c"},
			{Connection: "d", Silence: fleet.Gone}, {Connection: "e", Silence: fleet.Mute}, {Connection: "f", Silence: fleet.Busy},
			{Connection: "g", Silence: fleet.Oversize},
		},
		Fault:   wire.NewError(wire.LimitExceeded, "so many"),
		Missing: missing,
	}
	got := r.post("/ask", `{"connection":"c","event":"e","data":{"a": [1]},"timeoutMs":30000}`)
	if o.to != (router.Target{Connection: "c"}) || o.q.Wait != 30*time.Second || string(o.q.Data) != `{"a": [1]}` {
		t.Errorf("asked %+v %+v %s", o.to, o.q, o.q.Data)
	}
	want := `{"answers":[{"connection":"a","data":{"n":1,"t":"<é>"}},{"connection":"c","data":null}],` +
		`"unanswered":[{"connection":"b","reason":"timeout"},{"connection":"d","reason":"gone"},{"connection":"e","reason":"no_acknowledgements"},` +
		`{"connection":"f","reason":"limit_exceeded"},{"connection":"g","reason":"too_large"}],"problem":{`
	if !strings.HasPrefix(string(got.body), want) || !strings.HasSuffix(strings.TrimSpace(string(got.body)), `,"missing":["gateway-2"]}`) {
		t.Errorf("answered %s\nwant     %s", got.body, want)
	}
	if p := good[struct{ Problem struct{ Code string } }](t, got).Problem; p.Code != "limit_exceeded" {
		t.Errorf("%+v", p)
	}
}

func TestAQuestionThatCannotBePutIsRefused(t *testing.T) {
	r := begin(t)
	ann := r.join("ann")
	for body, code := range map[string]string{
		`{"event":"e"}`: "invalid_message",
		`{"user":"ann","connection":"c","event":"e"}`: "invalid_message",
		`{"user":"ann"}`:                                "invalid_message",
		`{"user":"ann","event":"disconnect"}`:           "invalid_message",
		`{"user":"ann","event":"e","timeoutMs":999}`:    "invalid_message",
		`{"user":"ann","event":"e","timeoutMs":30001}`:  "invalid_message",
		`{"user":"ann","event":"e","timeoutMs":"5000"}`: "invalid_message",
		`{"user":"ann","event":"e","timeoutMs":1e3}`:    "invalid_message",
	} {
		refused(t, r.post("/ask", body), 400, code)
	}
	refused(t, r.post("/ask", `{"user":"ann","event":"connected"}`), 403, "forbidden")
	refused(t, r.post("/ask", `{"connection":"nobody","event":"e"}`), 404, "not_found")
	refused(t, r.post("/ask", `{"user":"ann","event":"e"}`), 409, "conflict")
	refused(t, r.post("/ask", `{"connection":"`+ann.s.ID()+`","event":"e"}`), 409, "conflict")
	refused(t, r.post("/ask", `{"user":"ann","event":"e","data":"`+strings.Repeat("d", 3000)+`"}`), 413, "too_large")
	if n := ann.count("e"); n != 0 {
		t.Errorf("a plain client got %d questions", n)
	}
}
