package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

type published struct {
	Room   string
	Offset *uint64
	Pos    string
}

func TestAPublicationReachesWhomItNamesAndNobodyElse(t *testing.T) {
	r := begin(t)
	ann1, ann2, bob := r.join("ann", "lobby"), r.join("ann"), r.join("bob", "lobby")
	for event, c := range map[string]struct {
		to   string
		room string
		who  []*client
	}{
		"room":       {`"room":"lobby"`, `,"room":"lobby","offset":1`, []*client{ann1, bob}},
		"user":       {`"user":"ann"`, `,"room":"user:ann","offset":1`, []*client{ann1, ann2}},
		"connection": {`"connection":"` + ann2.s.ID() + `"`, `,"data"`, []*client{ann2}},
		"everyone":   {`"everyone":true`, `,"data"`, []*client{ann1, ann2, bob}},
	} {
		got := good[published](t, r.post("/publish", `{`+c.to+`,"event":"`+event+`","data":{"a": [1,2.50,"<é>"]}}`))
		if kept := strings.Contains(c.room, "offset"); kept != (got.Offset != nil && *got.Offset == 1 && got.Pos != "") {
			t.Errorf("%s: %+v", event, got)
		}
		for _, w := range c.who {
			m := w.until(event)
			if !strings.HasPrefix(m, `{"event":"`+event+`"`+c.room) || !strings.HasSuffix(m, `"data":{"a": [1,2.50,"<é>"]}}`) {
				t.Errorf("%s came as %s", event, m)
			}
		}
	}
	good[published](t, r.post("/publish", `{"room":"lobby","event":"last","data":null}`))
	ann1.until("last")
	bob.until("last")
	good[published](t, r.post("/publish", `{"user":"ann","event":"end"}`))
	ann2.until("end")
	for name, c := range map[string]struct {
		who    *client
		events []string
	}{
		"ann's first":  {ann1, []string{"room", "user", "everyone"}},
		"ann's second": {ann2, []string{"user", "connection", "everyone"}},
		"bob's":        {bob, []string{"room", "everyone"}},
	} {
		for _, event := range []string{"room", "user", "connection", "everyone"} {
			want := 0
			if slices.Contains(c.events, event) {
				want = 1
			}
			if n := c.who.count(event); n != want {
				t.Errorf("%s connection has %d of %s", name, n, event)
			}
		}
	}
	if st := r.api.Stats(); st.Published != 6 || st.Requests != 6 {
		t.Errorf("%+v", st)
	}
}

func TestRepeatingAPublishWithItsKeyPublishesOnce(t *testing.T) {
	r := begin(t)
	ann := r.join("ann", "lobby")
	for name, to := range map[string]string{
		"room": `"room":"lobby"`, "user": `"user":"ann"`, "connection": `"connection":"` + ann.s.ID() + `"`, "everyone": `"everyone":true`,
	} {
		ask := `{` + to + `,"event":"` + name + `","data":1,"idempotencyKey":"order 7"}`
		first, second := r.post("/publish", ask), r.post("/publish", ask)
		if first.status != 200 || second.status != 200 || string(first.body) != string(second.body) {
			t.Errorf("%s: first %v, then %v", name, first, second)
		}
		refused(t, r.post("/publish", strings.Replace(ask, `"data":1`, `"data":2`, 1)), 409, "conflict")
		good[published](t, r.post("/publish", `{`+to+`,"event":"end-`+name+`"}`))
		ann.until("end-" + name)
		if n := ann.count(name); n != 1 {
			t.Errorf("%s came %d times", name, n)
		}
	}
}

func TestConnectionsInExceptGetNoCopy(t *testing.T) {
	r := begin(t)
	a, b, c := r.join("ann", "lobby"), r.join("ann", "lobby"), r.join("bob", "lobby")
	except := `"except":["` + a.s.ID() + `","` + c.s.ID() + `","gone"]`
	for _, to := range []string{`"room":"lobby"`, `"user":"ann"`, `"everyone":true`} {
		good[published](t, r.post("/publish", `{`+to+`,"event":"some",`+except+`}`))
		good[published](t, r.post("/publish", `{`+to+`,"event":"all"}`))
	}
	good[published](t, r.post("/publish", `{"connection":"`+a.s.ID()+`","event":"some",`+except+`}`))
	for _, end := range []string{`"room":"lobby"`, `"user":"ann"`, `"user":"bob"`, `"everyone":true`} {
		good[published](t, r.post("/publish", `{`+end+`,"event":"end","data":`+end[:strings.Index(end, ":")]+`}`))
	}
	for name, w := range map[string]struct {
		*client
		some, all, ends int
	}{"a": {a, 0, 3, 3}, "b": {b, 3, 3, 3}, "c": {c, 0, 2, 3}} {
		for w.count("end") < w.ends {
			w.until("end")
		}
		if some, all := w.count("some"), w.count("all"); some != w.some || all != w.all {
			t.Errorf("%s got %d of some and %d of all, want %d and %d", name, some, all, w.some, w.all)
		}
	}
	// The history has it for everybody.
	got := good[struct{ Publications []struct{ Event string } }](t, r.get("/rooms/lobby/history"))
	if len(got.Publications) != 3 || got.Publications[0].Event != "some" {
		t.Errorf("%+v", got)
	}
}

func TestNobodyPublishesAReservedEvent(t *testing.T) {
	r := begin(t)
	ann := r.join("ann", "lobby")
	for _, event := range []string{"gap", "reconnect", "error", "connected", "room_left", "member_joined", "token_expiring", "published", "authenticate"} {
		for _, to := range []string{`"room":"lobby"`, `"user":"ann"`, `"connection":"` + ann.s.ID() + `"`, `"everyone":true`} {
			refused(t, r.post("/publish", `{`+to+`,"event":"`+event+`"}`), 403, "forbidden")
			refused(t, r.post("/publish", `{`+to+`,"event":"\u00`+fmt.Sprintf("%02x", event[0])+event[1:]+`"}`), 403, "forbidden")
		}
	}
	good[published](t, r.post("/publish", `{"user":"ann","event":"end"}`))
	ann.until("end")
	if seen := ann.read(); len(seen) != 1 {
		t.Errorf("ann got %q", seen)
	}
}

func TestARequestThatIsNotAsDescribedIsRefused(t *testing.T) {
	r := begin(t)
	deep := strings.Repeat("[", 70) + strings.Repeat("]", 70)
	for path, bodies := range map[string][]string{
		"/publish": {
			``, ` `, `null`, `[]`, `"x"`, `{`, `{} {}`, `{"room":"lobby","event":"e"}x`, "{\"room\":\"lobby\",\"event\":\"\xff\"}",
			`{"event":"e"}`, `{"room":"lobby"}`, `{"room":"lobby","user":"ann","event":"e"}`, `{"room":"lobby","everyone":true,"event":"e"}`,
			`{"room":"lobby","room":"lobby","event":"e"}`, `{"room":"lobby","event":"e","echo":true}`, `{"Room":"lobby","event":"e"}`,
			`{"room":"a b","event":"e"}`, `{"room":"*","event":"e"}`, `{"room":"#x","event":"e"}`, `{"room":"","event":"e"}`, `{"room":7,"event":"e"}`,
			`{"user":"","event":"e"}`, `{"user":"` + strings.Repeat("u", 257) + `","event":"e"}`, `{"everyone":false,"event":"e"}`, `{"everyone":1,"event":"e"}`,
			`{"room":"lobby","event":""}`, `{"room":"lobby","event":"` + strings.Repeat("e", 129) + `"}`, `{"room":"lobby","event":null}`,
			`{"room":"lobby","event":"e","idempotencyKey":""}`, `{"room":"lobby","event":"e","idempotencyKey":"` + strings.Repeat("k", 129) + `"}`,
			`{"room":"lobby","event":"e","except":"x"}`, `{"room":"lobby","event":"e","except":[1]}`, `{"room":"lobby","event":"e","except":[""]}`,
			`{"room":"lobby","event":"e","except":[null]}`, `{"room":"lobby","event":"e","except":["` + strings.Repeat("c", 65) + `"]}`,
			`{"room":"lobby","event":"e","except":["c"` + strings.Repeat(`,"c"`, 100) + `]}`, `{"room":"lobby","event":"e","data":` + deep + `}`,
			`{"room":"lobby","event":"e","data":01}`,
		},
		"/publish/batch": {
			`{}`, `[]`, `{"publications":[]}`, `{"publications":{}}`, `{"publications":null}`, `{"publications":1}`,
			`{"publications":[1` + strings.Repeat(",1", 1000) + `]}`, `{"publications":[{}],"publications":[{}]}`, `{"atomic":true,"publications":[{}]}`,
		},
		"/subscribe": {
			`{"user":"ann"}`, `{"room":"lobby"}`, `{"user":"ann","connection":"c","room":"lobby"}`, `{"user":"ann","room":"lobby","since":"x"}`, `{"user":"ann","room":"a b"}`,
		},
		"/unsubscribe": {`{"user":"ann"}`, `{"room":"lobby"}`, `{"user":"ann","connection":"c","room":"lobby"}`},
		"/disconnect":  {`{}`, `{"user":"ann","connection":"c"}`, `{"user":"ann","room":"lobby"}`, `{"connection":""}`},
		"/revoke": {
			`{}`, `{"user":"ann","token":"t"}`, `{"token":"t","until":1}`, `{"until":1}`, `{"user":"ann","until":"tomorrow"}`,
			`{"user":"ann","until":0}`, `{"user":"ann","until":-1}`, `{"user":"ann","until":1e30}`, `{"user":"ann","until":1.5}`, `{"token":""}`,
		},
	} {
		for _, body := range bodies {
			if got := r.post(path, body); got.status != 400 {
				t.Errorf("%s %.100s: %v", path, body, got)
			} else {
				refused(t, got, 400, "invalid_message")
			}
		}
	}
	refused(t, r.post("/publish", `{"room":"lobby","event":"e","data":"`+strings.Repeat("d", 2001)+`"}`), 413, "too_large")
	refused(t, r.post("/publish", `{"room":"asleep","event":"e"}`), 403, "forbidden")
	compressed := ask{method: "POST", path: "/api/v1/publish", body: `{}`, header: http.Header{"Content-Encoding": {"gzip"}}}
	refused(t, r.do(compressed), 415, "unsupported_media_type")
	if got := r.do(ask{method: "POST", path: "/api/v1/publish", kind: "Application/JSON; Charset=UTF-8", body: `{"room":"lobby","event":"e"}`}); got.status != 200 {
		t.Errorf("%v", got)
	}
	if st := r.api.Stats(); st.Published != 1 || st.Problems[wire.Forbidden] != 1 || st.Problems[wire.TooLarge] != 1 || st.Problems[wire.InvalidMessage] < 50 {
		t.Errorf("%+v", st)
	}
}

func TestABatchHasAnOutcomeForEachPublication(t *testing.T) {
	r := begin(t)
	ann := r.join("ann", "lobby")
	items := []string{
		`{"room":"lobby","event":"one","data":{"n":1}}`,
		`{"room":"lobby","event":"gap"}`,
		`{"room":"lobby","event":"two","idempotencyKey":"k"}`,
		`{"room":"lobby","event":"other","idempotencyKey":"k"}`,
		`{"room":"lobby","event":"two","idempotencyKey":"k"}`,
		`7`,
		`{"event":"e"}`,
		`{"connection":"nobody","event":"e"}`,
		`{"room":"lobby","event":"e","data":"` + strings.Repeat("d", 2001) + `"}`,
		`{"everyone":true,"event":"three"}`,
		`{"room":"lobby","event":"four"}`,
	}
	type batch struct {
		Results []struct {
			Status  int
			Room    string
			Offset  uint64
			Pos     string
			Problem *struct {
				Status int
				Code   string
			}
		}
		Failed int
	}
	got := good[batch](t, r.post("/publish/batch", `{"publications":[`+strings.Join(items, ",")+`]}`))
	want := []struct {
		status int
		offset uint64
		code   string
	}{
		{200, 1, ""}, {403, 0, "forbidden"}, {200, 2, ""}, {409, 0, "conflict"}, {200, 2, ""}, {400, 0, "invalid_message"},
		{400, 0, "invalid_message"}, {404, 0, "not_found"}, {413, 0, "too_large"}, {200, 0, ""}, {200, 3, ""},
	}
	if len(got.Results) != len(want) || got.Failed != 6 {
		t.Fatalf("%+v", got)
	}
	for i, w := range want {
		g := got.Results[i]
		code := ""
		if g.Problem != nil {
			code = g.Problem.Code
			if g.Problem.Status != g.Status {
				t.Errorf("%d: status %d, of the problem %d", i, g.Status, g.Problem.Status)
			}
		}
		if g.Status != w.status || g.Offset != w.offset || code != w.code {
			t.Errorf("%d: %+v %s, want %+v", i, g, code, w)
		}
	}
	ann.until("three")
	ann.until("four")
	var order []string
	for _, m := range ann.read() {
		var e struct{ Event, Room string }
		if err := json.Unmarshal([]byte(m), &e); err != nil {
			t.Fatal(err)
		}
		if e.Room != "" {
			order = append(order, e.Event)
		}
	}
	if !slices.Equal(order, []string{"one", "two", "four"}) {
		t.Errorf("ann saw %q", order)
	}

	if err := r.router.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	got = good[batch](t, r.post("/publish/batch", `{"publications":[`+items[0]+`]}`))
	if got.Failed != 1 || got.Results[0].Status != 503 || got.Results[0].Problem.Code != "unavailable" {
		t.Errorf("while draining: %+v", got)
	}
}

func TestWhatIsNotThereIsAProblemToo(t *testing.T) {
	r := begin(t)
	for _, path := range []string{"/", "/nothing", "/publish/", "/users", "/users/ann", "/rooms/lobby/nothing", "/rooms/a/b", "/rooms/a/b/members", "/openapi.yaml"} {
		refused(t, r.get(path+"?"+url.Values{"x": {"y"}}.Encode()), 404, "not_found")
	}
	if got := r.do(ask{method: "HEAD", path: httpapi.Prefix + "/counts"}); got.status != 200 || len(got.body) != 0 {
		t.Errorf("HEAD: %v", got)
	}
}
