package httpapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// eachOperation calls f with every operation of the document.
func eachOperation(t *testing.T, f func(doc, op node, method, pattern string)) {
	t.Helper()
	doc := readDocument(t)
	for pattern, item := range doc["paths"].(node) {
		for method, op := range item.(node) {
			f(doc, op.(node), strings.ToUpper(method), pattern)
		}
	}
}

// pathOf is a path that a pattern of the document matches.
func pathOf(pattern string) string {
	return strings.NewReplacer("{user}", "ann", "{connection}", "nobody", "{room}", "lobby").Replace(strings.TrimPrefix(pattern, httpapi.Prefix))
}

func TestTheRoutesOfTheCodeAndOfTheDocumentAreTheSame(t *testing.T) {
	code := map[string]bool{}
	for _, name := range httpapi.RouteNames() {
		code[name] = true
	}
	document := map[string]bool{}
	eachOperation(t, func(_, _ node, method, pattern string) { document[method+" "+pattern] = true })
	if len(code) == 0 || !maps.Equal(code, document) {
		t.Errorf("code     %q\ndocument %q", slices.Sorted(maps.Keys(code)), slices.Sorted(maps.Keys(document)))
	}
	// The table is what is served: nothing but it answers.
	r := begin(t)
	eachOperation(t, func(_, _ node, method, pattern string) {
		for _, other := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			got := r.do(ask{method: other, path: httpapi.Prefix + pathOf(pattern)})
			if served := code[other+" "+pattern]; served == (got.status == 405) || served == (got.header.Get("Allow") != "") {
				t.Errorf("%s %s: %v", other, pattern, got)
			}
		}
	})
}

func TestTheCodesOfTheDocumentAreThoseOfTheCode(t *testing.T) {
	doc := readDocument(t)
	var words []string
	for _, c := range child(t, doc, doc, "components", "schemas", "Problem", "properties", "code")["enum"].([]any) {
		words = append(words, c.(string))
	}
	want := []string{"unknown_host", "cross_origin"} // the port's, in front of the API
	for _, c := range httpapi.Codes() {
		want = append(want, string(c))
	}
	slices.Sort(words)
	slices.Sort(want)
	if !slices.Equal(words, want) {
		t.Errorf("document %q\ncode     %q", words, want)
	}
}

// TestEveryAnswerOfTheDocumentIsGiven asks for every status that the document
// names, and checks (in do) that no other is given and that bodies are as it
// says.
func TestEveryAnswerOfTheDocumentIsGiven(t *testing.T) {
	seen := map[string]bool{}
	try := func(r *rig, status int, a ask) {
		t.Helper()
		got := r.do(a)
		if got.status != status {
			t.Errorf("%s %s %s: %v, want %d", a.method, a.path, a.body, got, status)
		}
		name, _ := operation(t, readDocument(t), a.method, a.path)
		seen[fmt.Sprint(name, " ", got.status)] = true
	}
	post := func(r *rig, status int, path, body string) {
		t.Helper()
		try(r, status, ask{method: "POST", path: httpapi.Prefix + path, body: body})
	}
	get := func(r *rig, status int, path string) {
		t.Helper()
		try(r, status, ask{method: "GET", path: httpapi.Prefix + path})
	}

	// What every operation answers.
	r, off := begin(t), start(t, setup{})
	eachOperation(t, func(doc, op node, method, pattern string) {
		a := ask{method: method, path: httpapi.Prefix + pathOf(pattern), body: "{}"}
		with := func(change func(*ask)) ask { b := a; change(&b); return b }
		try(off, 403, a)
		try(r, 401, with(func(a *ask) { a.key = "another key" }))
		try(r, 421, with(func(a *ask) { a.host = "evil.example" }))
		try(r, 400, with(func(a *ask) { a.path += "?wrong=1" }))
		if method == "POST" {
			try(r, 400, a)
			try(r, 413, with(func(a *ask) { a.body = strings.Repeat(" ", 9000) }))
			for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application"} {
				try(r, 415, with(func(a *ask) { a.kind = kind }))
			}
		}
	})

	// What is particular to some.
	ann := r.join("ann", "lobby")
	eachOperation(t, func(doc, op node, method, pattern string) {
		if content := child(t, doc, op, "requestBody", "content", "application/json"); content != nil {
			b, err := json.Marshal(content["example"])
			if err != nil {
				t.Fatal(err)
			}
			if faults := (&validator{t, doc}).check("", content["schema"].(node), content["example"]); faults != nil {
				t.Errorf("the example of %s: %q", pattern, faults)
			}
			post(r, 200, pathOf(pattern), string(b))
		} else if !strings.Contains(pattern, "{connection}") {
			get(r, 200, pathOf(pattern))
		}
	})
	if why, over := ann.Ended(); !over || why.Code != wire.CloseDisconnected {
		t.Errorf("the example of disconnect closed ann's connection: %v, %v", over, why)
	}

	eve := r.join("eve", "lobby", "many:1")
	get(r, 200, "/connections/"+eve.s.ID())
	get(r, 404, "/connections/nobody")
	get(r, 200, "/connections/"+eve.s.ID()+"/rooms")
	get(r, 404, "/connections/nobody/rooms")
	get(r, 403, "/rooms/nowhere/history")
	get(r, 410, "/rooms/lobby/history?since="+wire.Position{Epoch: 1, Offset: 1, Nonce: 1}.String())
	post(r, 403, "/publish", `{"room":"nowhere","event":"e"}`)
	post(r, 404, "/publish", `{"connection":"nobody","event":"e"}`)
	post(r, 200, "/publish", `{"room":"lobby","event":"e","idempotencyKey":"k","data":1}`)
	post(r, 409, "/publish", `{"room":"lobby","event":"e","idempotencyKey":"k","data":2}`)
	post(r, 404, "/ask", `{"connection":"nobody","event":"e"}`)
	post(r, 409, "/ask", `{"user":"eve","event":"e"}`)
	post(r, 403, "/subscribe", `{"user":"eve","room":"user:ann"}`)
	post(r, 404, "/subscribe", `{"connection":"nobody","room":"lobby"}`)
	post(r, 403, "/unsubscribe", `{"user":"eve","room":"user:eve"}`)
	post(r, 404, "/unsubscribe", `{"connection":"nobody","room":"lobby"}`)
	post(r, 404, "/disconnect", `{"connection":"nobody"}`)
	post(r, 200, "/subscribe", `{"user":"eve","room":"many:2"}`)
	post(r, 429, "/subscribe", `{"user":"eve","room":"many:3"}`)

	full := broken(t, wire.NewError(wire.LimitExceeded, "no more can be remembered"))
	post(full, 429, "/revoke", `{"token":"t"}`)
	post(full, 429, "/ask", `{"user":"ann","event":"e"}`)

	post(r, 404, "/drain", `{"instance":"another"}`)

	away := broken(t, wire.NewError(wire.Unavailable, "the broker is away"))
	post(away, 503, "/ask", `{"user":"ann","event":"e"}`)
	post(away, 503, "/unsubscribe", `{"user":"ann","room":"lobby"}`)
	post(away, 503, "/disconnect", `{"user":"ann"}`)
	post(away, 503, "/revoke", `{"user":"ann"}`)
	post(away, 503, "/drain", `{"instance":"gateway-2"}`)
	get(away, 503, "/connections/elsewhere")
	get(away, 503, "/connections/elsewhere/rooms")
	get(away, 503, "/rooms/lobby")
	post(away, 503, "/subscribe", `{"user":"ann","room":"lobby"}`)
	get(away, 503, "/rooms/lobby/history")

	const inside = "broker at 10.0.0.7 refused"
	failing := broken(t, errors.New(inside))
	post(failing, 500, "/publish", `{"room":"lobby","event":"e"}`)
	post(failing, 500, "/subscribe", `{"user":"ann","room":"lobby"}`)
	post(failing, 500, "/unsubscribe", `{"user":"ann","room":"lobby"}`)
	get(failing, 500, "/rooms/lobby/history")
	if got := failing.get("/rooms/lobby/history"); strings.Contains(string(got.body), "10.0.0.7") {
		t.Errorf("internal text is answered: %s", got.body)
	}
	if n := failing.logged.FilterMessage("request failed: internal").Len(); n != 5 {
		t.Errorf("%d faults are logged, want 5", n)
	}

	get(broken(t, errors.New(inside)), 500, "/rooms/lobby")

	if err := r.router.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	post(r, 503, "/publish", `{"room":"lobby","event":"e"}`)

	want := map[string]bool{}
	eachOperation(t, func(_, op node, method, pattern string) {
		for status := range op["responses"].(node) {
			want[method+" "+pattern+" "+status] = true
		}
	})
	for answer := range want {
		if !seen[answer] {
			t.Errorf("%s is documented, and the test did not get it", answer)
		}
	}
}

// TestTheFieldsOfTheDocumentAreThoseOfTheCode sends every documented field
// alone: the code must know it; an undocumented one it must not.
func TestTheFieldsOfTheDocumentAreThoseOfTheCode(t *testing.T) {
	r := begin(t)
	const unknown = "does not know"
	eachOperation(t, func(doc, op node, method, pattern string) {
		if schema := child(t, doc, op, "requestBody", "content", "application/json", "schema"); schema != nil {
			for field := range schema["properties"].(node) {
				if got := r.post(pathOf(pattern), `{"`+field+`":{}}`); got.status != 400 || strings.Contains(string(got.body), unknown) {
					t.Errorf("%s %s: %v", pattern, field, got)
				}
				upper := strings.ToUpper(field)
				if got := r.post(pathOf(pattern), `{"`+upper+`":{}}`); got.status != 400 || !strings.Contains(string(got.body), unknown) {
					t.Errorf("%s %s: %v", pattern, upper, got)
				}
			}
		}
		names, _ := op["parameters"].([]any)
		for _, p := range names {
			p := resolve(t, doc, p.(node))
			if p["in"] == "query" {
				value := map[string]string{"integer": "1", "string": ""}[p["schema"].(node)["type"].(string)]
				got := r.get(pathOf(pattern) + "?" + url.Values{p["name"].(string): {value}}.Encode())
				if strings.Contains(string(got.body), "unknown parameter") {
					t.Errorf("%s ?%s: %v", pattern, p["name"], got)
				}
			}
		}
	})
}
