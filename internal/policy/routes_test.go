package policy

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// routes makes a document of routes, each a line of flow YAML.
func routes(entries ...string) []byte {
	return []byte("version: 1\nroutes:\n  - {" + strings.Join(entries, "}\n  - {") + "}\n")
}

func mustRoute(t testing.TB, entries ...string) *Routes {
	t.Helper()
	p, err := Parse(routes(entries...))
	if err != nil {
		t.Fatal(err)
	}
	return p.Routes
}

func TestADocumentBecomesItsRoutes(t *testing.T) {
	all := mustRoute(t,
		`match: "order:*", http: {url: "https://orders.internal/events?v=1"}`,
		`match: ask, send: anyone, http: {url: "http://a:8080", timeout: 90ms, idempotent: true, concurrency: 7, maxResponseBytes: 1024}`,
		`match: vote, room: votes`,
		`match: "chat.*.typing", send: member, room: "chat:{1}", http: {url: "http://a"}`,
		`match: seen, send: authenticated, room: "user:{user}:seen"`,
		`match: "pay.*", stream: {name: "{shop}:payments"}`,
		`match: "bid:*", send: member, room: "lot:{1}", stream: {name: bids, maxLength: 7}`,
	).All()
	want := []Route{
		{Match: "order:*", Send: Authenticated, HTTP: &Upstream{"https://orders.internal/events?v=1", 5 * time.Second, false, 64, 65536}},
		{Match: "ask", Send: Anyone, HTTP: &Upstream{"http://a:8080", 90 * time.Millisecond, true, 7, 1024}},
		{Match: "vote", Send: Member},
		{Match: "chat.*.typing", Send: Member, HTTP: &Upstream{"http://a", 5 * time.Second, false, 64, 65536}},
		{Match: "seen", Send: Authenticated},
		{Match: "pay.*", Send: Authenticated, Stream: &Stream{"{shop}:payments", 100_000}},
		{Match: "bid:*", Send: Member, Stream: &Stream{"bids", 7}},
	}
	if len(all) != len(want) {
		t.Fatalf("%d routes", len(all))
	}
	for i, r := range all {
		got := Route{Match: r.Match, Send: r.Send, HTTP: r.HTTP, Stream: r.Stream}
		if !reflect.DeepEqual(got, want[i]) {
			t.Errorf("\n got %+v\nwant %+v", got, want[i])
		}
	}
}

func TestTheMostSpecificRouteIsFound(t *testing.T) {
	var entries []string
	for _, match := range []string{"**", "order:**", "order:*", "order:create", "order:*:paid", "a.*", "a/*", "Grüße, *x", "*.b.c", "*.*.c"} {
		if match != "Grüße, *x" {
			entries = append(entries, `match: "`+match+`", room: x`)
		}
	}
	r := mustRoute(t, append(entries, `match: "Grüße, Welt", room: x`)...)
	for event, want := range map[string]string{
		"order:create":       "order:create",
		"order:cancel":       "order:*",
		"order:":             "order:*",
		"order:7:paid":       "order:*:paid",
		"order:7:lost":       "order:**",
		"order:7.paid":       "order:**",
		"order":              "**",
		"orders:create":      "**",
		"order.create":       "**",
		"a.b":                "a.*",
		"a/b":                "a/*",
		"a:b":                "**",
		"x.b.c":              "*.b.c",
		"x.y.c":              "*.*.c",
		"Grüße, Welt":        "Grüße, Welt",
		"whatever it may \"": "**",
	} {
		got := r.Lookup(event)
		if got == nil || got.Match != want {
			t.Errorf("%q: %+v, want %q", event, got, want)
		}
	}
	some := mustRoute(t, `match: "order:*", room: x`)
	for _, event := range []string{"order", "order:a:b", "order.a", "", "xorder:a"} {
		if got := some.Lookup(event); got != nil {
			t.Errorf("%q: %+v", event, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { r.Lookup("order:7:lost") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestARoomIsMadeOfTheEventAndTheSender(t *testing.T) {
	for name, tc := range map[string]struct{ match, room, event, want string }{
		"a literal":                {"vote", "votes", "vote", "votes"},
		"a segment":                {"game:*:move", "game:{1}", "game:7:move", "game:7"},
		"two, in another order":    {"*/*", "{2}:{1}", "a/b", "b:a"},
		"the rest":                 {"to.**", "{1}", "to.a:b/c", "a:b/c"},
		"a segment and the rest":   {"to.*.**", "{1}:{2}", "to.x.y.z", "x:y.z"},
		"twice the same":           {"*", "{1}-{1}", "a", "a-a"},
		"an empty segment":         {"game:*", "game:{1}", "game:", "game:"},
		"the user":                 {"seen", "user:{user}:seen", "seen", "user:a/3ann:seen"},
		"the user in the middle":   {"ask", "support:{user}/x", "ask", "support:a/3ann/x"},
		"the connection":           {"ask", "reply:{connection}", "ask", "reply:c-1"},
		"what no room can be":      {"to.*", "{1}", "to.a b", "a b"},
		"what nobody should reach": {"to.**", "{1}", "to.user:bob", "user:bob"}, // the router refuses it
	} {
		t.Run(name, func(t *testing.T) {
			r := mustRoute(t, `match: "`+tc.match+`", room: "`+tc.room+`"`).Lookup(tc.event)
			if r == nil {
				t.Fatal("no route")
			}
			if got, ok := r.Room(tc.event, "a:nn", "c-1"); got != tc.want || !ok {
				t.Errorf("got %q, %v", got, ok)
			}
		})
	}
	if got, ok := mustRoute(t, `match: a, http: {url: "http://a"}`).Lookup("a").Room("a", "ann", "c"); got != "" || ok {
		t.Errorf("a route without a room makes %q, %v", got, ok)
	}
}

func TestFaultyRoutesAreNamed(t *testing.T) {
	const http = `http: {url: "http://a"}`
	for name, tc := range map[string]struct {
		entries []string
		want    string
	}{
		"no match":                 {[]string{http}, `policy: routes[0] "": match must be text of 1 to 128 bytes`},
		"a long match":             {[]string{`match: ` + strings.Repeat("x", 129) + `, ` + http}, "match must be text of 1 to 128 bytes"},
		"half a wildcard":          {[]string{`match: "a*", ` + http}, `segment "a*": a wildcard is a whole segment`},
		"the rest in the middle":   {[]string{`match: "**.a", ` + http}, "'**' may only be the last segment"},
		"an event of the gateway":  {[]string{`match: reconnect, ` + http}, `the event "reconnect" is the gateway's own`},
		"a request of the gateway": {[]string{`match: publish, ` + http}, `the event "publish" is the gateway's own`},
		"nowhere":                  {[]string{`match: a`}, "goes nowhere: write http, stream or room"},
		"the same twice":           {[]string{`match: a, ` + http, `match: a, room: b`}, `policy: routes[1] "a": is written twice`},
		"the same wildcard twice":  {[]string{`match: "a:*", ` + http, `match: "a:*", room: b`}, `policy: routes "a:*" is written twice`},
		"ambiguous":                {[]string{`match: "a:*", ` + http, `match: "*:b", room: b`}, `policy: routes "a:*" and "*:b" are ambiguous: both match "a:b"`},
		"another who":              {[]string{`match: a, send: backend, ` + http}, "send is \"backend\", must be one of: member authenticated anyone"},
		"a member of no room":      {[]string{`match: a, send: member, ` + http}, "send is member, but the route has no room"},
		"another's room":           {[]string{`match: a, room: "user:bob"`}, "room may be of the sender's user alone"},
		"all rooms of users":       {[]string{`match: "a:*", room: "user:{1}"`}, "room may be of the sender's user alone"},
		"a room beside":            {[]string{`match: a, room: "user:x{user}"`}, "room may be of the sender's user alone"},
		"a strange room":           {[]string{`match: a, room: "a b"`}, `room "a b" has bytes outside of`},
		"a word too many":          {[]string{`match: "a:*", room: "{2}"`}, "room may contain {user}, {connection}, and {1}"},
		"an unknown word":          {[]string{`match: a, room: "{me}"`}, "room may contain {user}, {connection}, and {1}"},
		"an open brace":            {[]string{`match: a, room: "a{user"`}, "room may contain {user}, {connection}, and {1}"},
		"a brace that closes":      {[]string{`match: a, room: "a}"`}, `room "a}" has bytes outside of`},
		"no url":                   {[]string{`match: a, http: {timeout: 1s}`}, "url is missing"},
		"a path alone":             {[]string{`match: a, http: {url: /events}`}, "url must be one of http or https with a host"},
		"another scheme":           {[]string{`match: a, http: {url: "file:///etc/passwd"}`}, "url must be one of http or https with a host"},
		"a fragment":               {[]string{`match: a, http: {url: "http://a/#b"}`}, "url must be one of http or https with a host"},
		"a password":               {[]string{`match: a, http: {url: "http://u:canary@a/"}`}, "url must hold no user or password"},
		"no duration":              {[]string{`match: a, http: {url: "http://a", timeout: 5}`}, `timeout is "5", must be a duration`},
		"no time":                  {[]string{`match: a, http: {url: "http://a", timeout: 0s}`}, `timeout is "0s", must be a duration`},
		"too much time":            {[]string{`match: a, http: {url: "http://a", timeout: 61s}`}, `timeout is "61s", must be a duration`},
		"too many at once":         {[]string{`match: a, http: {url: "http://a", concurrency: 10001}`}, "concurrency is 10001, must be 1 to 10000"},
		"fewer than none":          {[]string{`match: a, http: {url: "http://a", concurrency: -1}`}, "concurrency is -1, must be 1 to 10000"},
		"too long an answer":       {[]string{`match: a, http: {url: "http://a", maxResponseBytes: 1048577}`}, "maxResponseBytes is 1048577"},
		"an unknown key":           {[]string{`match: a, http: {uri: "http://a"}`}, `unknown field "uri"`},
		"two ways":                 {[]string{`match: a, stream: {name: a}, ` + http}, "goes two ways: write http or stream"},
		"a stream without a name":  {[]string{`match: a, stream: {maxLength: 5}`}, "name of stream must be 1 to 256 printable characters"},
		"a long name":              {[]string{`match: a, stream: {name: ` + strings.Repeat("x", 257) + `}`}, "name of stream must be"},
		"a name with a space":      {[]string{`match: a, stream: {name: "a b"}`}, "name of stream must be"},
		"a name that is no ASCII":  {[]string{`match: a, stream: {name: "ä"}`}, "name of stream must be"},
		"less than nothing":        {[]string{`match: a, stream: {name: a, maxLength: -1}`}, "maxLength is -1, must be 1 to 100000000"},
		"too much":                 {[]string{`match: a, stream: {name: a, maxLength: 100000001}`}, "maxLength is 100000001"},
		"members of no room":       {[]string{`match: a, send: member, stream: {name: a}`}, "send is member, but the route has no room"},
		"faults of two":            {[]string{`match: a`, `match: b, send: x, room: c`}, `policy: routes[1] "b": send is "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(routes(tc.entries...))
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTooManyRoutesAreRefused(t *testing.T) {
	many := make([]RouteRule, MaxRoutes+1)
	if _, err := Compile(Document{Version: 1, Routes: many}); err == nil || !strings.Contains(err.Error(), "1001 routes, at most 1000") {
		t.Errorf("got %v", err)
	}
	var wild []RouteRule
	for i := range MaxRouteWildcards + 1 {
		wild = append(wild, RouteRule{Match: strings.Repeat("x", i+1) + ":*", Room: "r"})
	}
	if _, err := Compile(Document{Version: 1, Routes: wild}); err == nil || !strings.Contains(err.Error(), "101 routes with wildcards, at most 100") {
		t.Errorf("got %v", err)
	}
}

func TestLiveRoutesAreReplaced(t *testing.T) {
	first, err := Parse(routes(`match: a, room: b`))
	if err != nil {
		t.Fatal(err)
	}
	second, err := Parse(routes(`match: c, room: d`))
	if err != nil {
		t.Fatal(err)
	}
	l := NewLive(first)
	if l.Route("a") == nil || l.Route("c") != nil {
		t.Error("the first policy is not in force")
	}
	l.Set(second)
	if l.Route("a") != nil || l.Route("c") == nil || l.Routes() != second.Routes {
		t.Error("the second policy is not in force")
	}
}

func FuzzEventsAndPatterns(f *testing.F) {
	for _, seed := range [][3]string{{"a.*:b", "a.x:b", "r:{1}"}, {"**", "a", "{1}"}, {"*.*", ".", "{2}{1}"}, {"a:", "a:", "{user}"}, {"*", "", "x"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, match, event, room string) {
		routes, err := compileRoutes([]RouteRule{{Match: match, Room: room}})
		if err != nil {
			return
		}
		r := routes.Lookup(event)
		if r == nil {
			if event == match {
				t.Errorf("%q does not match itself", match)
			}
			return
		}
		if _, ok := r.Room(event, "ann", "c"); !ok {
			t.Errorf("%q has no room", match)
		}
		// The parts that the wildcards stand for, put in their places, are the event.
		back, n := "", 0
		for _, t := range r.match {
			if t.sep != 0 {
				back += string(t.sep)
			}
			if t.text == oneSegment || t.text == moreSegments {
				n++
				back += r.match.wildcard(n, event)
			} else {
				back += t.text
			}
		}
		if back != event {
			t.Errorf("%q by %q is %q", event, match, back)
		}
	})
}
