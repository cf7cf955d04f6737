package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// matching makes a policy that knows patterns alone.
func matching(patterns ...string) (*Policy, error) {
	doc := Document{Version: 1}
	for _, p := range patterns {
		doc.Rooms = append(doc.Rooms, RoomRule{Match: p, Join: "anyone", Publish: "member"})
	}
	return Compile(doc)
}

func lookup(p *Policy, room string) string {
	if r := p.Rooms.Lookup(room); r != nil {
		return r.Match
	}
	return ""
}

func TestAPatternMatchesWholeRooms(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		yes, no []string
	}{
		{"lobby", []string{"lobby"}, []string{"", "lobb", "lobby2", "lobby:", ":lobby", "lobby/a", "Lobby"}},
		{"chat:lobby", []string{"chat:lobby"}, []string{"chat/lobby", "chat:lobby:x", "chat", "chat:"}},
		{"*", []string{"a", "a-b.c@d"}, []string{"", "a:b", "a/b", "a:"}},
		{"chat:*", []string{"chat:a", "chat:", "chat:a.b"}, []string{"chat", "chat/a", "chat:a:b", "chat:a/b", "chats:a"}},
		{"chat/*", []string{"chat/a"}, []string{"chat:a", "chat/a/b"}},
		{"*:b", []string{"a:b", ":b"}, []string{"b", "a/b", "a:c", "a:b:c"}},
		{"a:*:c", []string{"a:b:c", "a::c"}, []string{"a:b:d", "a:c", "a:b/c", "a:b:b:c"}},
		{"*:*", []string{"a:b", ":", "a:"}, []string{"a", "a/b", "a:b:c"}},
		{"**", []string{"a", "a:b", "a/b:c/d", ":", "/", "a:"}, []string{""}},
		{"chat:**", []string{"chat:a", "chat:a:b", "chat:a/b", "chat:"}, []string{"chat", "chat/a", "chats:a"}},
		{"a/b:**", []string{"a/b:c", "a/b:c/d"}, []string{"a/b", "a:b:c", "a/b/c"}},
		{"*/**", []string{"a/b", "a/b:c"}, []string{"a", "a:b", "a:b/c"}},
		{"a::b", []string{"a::b"}, []string{"a:b", "a:::b"}},
		{"users:*", []string{"users:ann"}, []string{"users", "user/ann"}},
	} {
		p, err := matching(tc.pattern)
		if err != nil {
			t.Errorf("%q: %v", tc.pattern, err)
			continue
		}
		for _, room := range tc.yes {
			if lookup(p, room) != tc.pattern {
				t.Errorf("%q does not match %q", tc.pattern, room)
			}
		}
		for _, room := range tc.no {
			if lookup(p, room) != "" {
				t.Errorf("%q matches %q", tc.pattern, room)
			}
		}
	}
}

func TestTheMostSpecificPatternRules(t *testing.T) {
	p, err := matching("**", "*", "chat:**", "chat:*", "chat:lobby", "chat:*:admin", "chat:*:**", "chat:lobby:*", "chat:lobby:admin", "a:b:**", "a:*:c", "a:b:c")
	if err != nil {
		t.Fatal(err)
	}
	for room, want := range map[string]string{
		"x":                "*",
		"x:y":              "**",
		"x/y":              "**",
		"chat":             "*",
		"chat/lobby":       "**",
		"chat:x":           "chat:*",
		"chat:lobby":       "chat:lobby",
		"chat:x/y":         "chat:**",
		"chat:x:y":         "chat:*:**",
		"chat:x:admin":     "chat:*:admin",
		"chat:x:admin:y":   "chat:*:**",
		"chat:lobby:x":     "chat:lobby:*",
		"chat:lobby:admin": "chat:lobby:admin",
		"chat:lobby:x:y":   "chat:*:**",
		"a:b:c":            "a:b:c",
		"a:b:d":            "a:b:**",
		"a:b:c:d":          "a:b:**",
		"a:x:c":            "a:*:c",
		"a:x:d":            "**",
	} {
		if got := lookup(p, room); got != want {
			t.Errorf("%q is ruled by %q, want %q", room, got, want)
		}
	}
}

func TestAmbiguousPatternsAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		patterns []string
		want     string // "" when they are not ambiguous
	}{
		"a literal twice":          {[]string{"a:b", "a:b"}, `rooms[1] "a:b": is written twice`},
		"a pattern twice":          {[]string{"a:*", "a:*"}, `rooms "a:*" is written twice`},
		"'**' twice":               {[]string{"**", "**"}, `rooms "**" is written twice`},
		"literals crosswise":       {[]string{"a:*", "*:b"}, `"a:*" and "*:b" are ambiguous: both match "a:b" and neither is more specific; write a rule for "a:b"`},
		"crosswise, settled":       {[]string{"a:*", "*:b", "a:b"}, ""},
		"crosswise, settled first": {[]string{"a:b", "a:*", "*:b"}, ""},
		"crosswise, badly settled": {[]string{"a:*", "*:b", "a:c"}, `both match "a:b"`},
		"a wildcard in what is shared": {
			[]string{"a:*:*", "*:*:c"}, `both match "a:*:c" and neither is more specific; write a rule for "a:*:c"`},
		"settled by a wildcard":      {[]string{"a:*:*", "*:*:c", "a:*:c"}, ""},
		"settled for one room only":  {[]string{"a:*:*", "*:*:c", "a:b:c"}, `both match "a:*:c"`},
		"'**' against a literal":     {[]string{"a:**", "*:b"}, `both match "a:b"`},
		"'**' against '*' crosswise": {[]string{"a:**", "*:*"}, `both match "a:*"`},
		"'**' and '**' crosswise":    {[]string{"a:**", "*:b:**"}, `both match "a:b:**"`},
		"'**' below '**'":            {[]string{"a:**", "a:b:**", "**"}, ""},
		"'*' below '**'":             {[]string{"**", "*", "*:*", "*/*"}, ""},
		"other separators":           {[]string{"a:*", "*/b"}, ""},
		"other lengths":              {[]string{"a:*", "*:b:c"}, ""},
		"other literals":             {[]string{"a:*:c", "b:*:d"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := matching(tc.patterns...)
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestNoPatternReachesUserRooms(t *testing.T) {
	p := mustParse(t, `match: "**", join: anyone, publish: anyone`, `match: "*:*", join: anyone, publish: anyone`,
		`match: "*:ann", join: anyone, publish: anyone`, `match: "*", join: anyone, publish: anyone`)
	for _, room := range []string{"user", "user:", "user:ann", "user:ann:notes", "user:*", "user::", "user:ann/x"} {
		if r := p.Rooms.Lookup(room); r == nil || r.Match != "user:*" || r.Join != Nobody || r.Publish != Backend {
			t.Errorf("%q is ruled by %+v", room, r)
		}
	}
	for room, want := range map[string]string{"users": "*", "user/ann": "**", "x:ann": "*:ann", "users:bob": "*:*"} {
		if got := lookup(p, room); got != want {
			t.Errorf("%q is ruled by %q", room, got)
		}
	}
}

func TestTheEntryForUserRoomsMayStandOnce(t *testing.T) {
	_, err := Parse(rooms(`match: "user:*", publish: owner`, `match: "user:*", publish: backend`))
	if err == nil || !strings.Contains(err.Error(), `rooms[1] "user:*": is written twice`) {
		t.Error(err)
	}
}

// matches is the documents' definition of a match, written anew.
func matches(pattern, room string) bool {
	p, r := cut(pattern), cut(room)
	for i, s := range p {
		switch {
		case i >= len(r) || s.sep != r[i].sep:
			return false
		case s.text == "**":
			return true
		case s.text != "*" && s.text != r[i].text:
			return false
		}
	}
	return len(p) == len(r)
}

func cut(s string) []token {
	var out []token
	sep := byte(0)
	for {
		i := strings.IndexAny(s, ":/")
		if i < 0 {
			return append(out, token{sep, s})
		}
		out = append(out, token{sep, s[:i]})
		sep, s = s[i], s[i+1:]
	}
}

// rank orders patterns that match one room: a literal before "*" before "**",
// segment by segment.
func rank(pattern string) []int {
	var out []int
	for _, s := range cut(pattern) {
		out = append(out, map[string]int{"*": 1, "**": 2}[s.text])
	}
	return out
}

// TestLookupFindsWhatTheWordsSay compares with the definition, over random
// policies of a small vocabulary, where nearly everything overlaps.
func TestLookupFindsWhatTheWordsSay(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	name := func(words []string, last ...string) string {
		var b strings.Builder
		for i := range 1 + rnd.IntN(4) {
			if i > 0 {
				b.WriteByte(":/"[rnd.IntN(5)/4])
			}
			b.WriteString(words[rnd.IntN(len(words))])
		}
		if len(last) > 0 && rnd.IntN(4) == 0 {
			b.WriteString(":" + last[0])
		}
		return b.String()
	}
	compiled := 0
	for range 3_000 {
		var patterns []string
		for range 1 + rnd.IntN(6) {
			if p := name([]string{"a", "b", "*", "*"}, "**"); !slices.Contains(patterns, p) {
				patterns = append(patterns, p)
			}
		}
		p, err := matching(patterns...)
		if err != nil {
			continue
		}
		compiled++
		for range 20 {
			room := name([]string{"a", "b", "c", ""})
			if room == "" {
				continue
			}
			var found []string
			for _, pattern := range patterns {
				if matches(pattern, room) {
					found = append(found, pattern)
				}
			}
			slices.SortFunc(found, func(x, y string) int { return slices.Compare(rank(x), rank(y)) })
			want := append(found, "")[0]
			if got := lookup(p, room); got != want {
				t.Fatalf("%q with %q is ruled by %q, want %q", room, patterns, got, want)
			}
			// The winner is nowhere less specific than another.
			for _, other := range found {
				for i, n := range rank(other) {
					if i < len(rank(want)) && rank(want)[i] > n {
						t.Fatalf("%q: %q and %q are ambiguous for %q", patterns, want, other, room)
					}
				}
			}
		}
	}
	if compiled < 500 {
		t.Errorf("only %d of the policies were unambiguous: the test looks at too little", compiled)
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	p := mustParse(t, `match: "**", join: anyone, publish: member`, `match: "chat:*", join: anyone, publish: member`,
		`match: "chat:lobby", join: anyone, publish: member`, `match: "a:*:c/*", join: anyone, publish: member`)
	for _, room := range []string{"chat:lobby", "chat:x", "a:b:c/d", "a:b:c:d/e", "user:ann", "", strings.Repeat("x:", 64)} {
		if n := testing.AllocsPerRun(100, func() { p.Rooms.Lookup(room) }); n != 0 {
			t.Errorf("%q: %v allocations", room, n)
		}
	}
}

func TestLiveIsReplacedWhileItIsRead(t *testing.T) {
	one, two := mustParse(t, "match: one, join: anyone, publish: member"), mustParse(t, "match: two, join: anyone, publish: member")
	live := NewLive(one)
	if live.Lookup("one") == nil || live.Lookup("two") != nil {
		t.Error("not the first policy")
	}
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				if r := live.Lookup("user:ann"); r == nil || r.Match != "user:*" {
					t.Error("no rule while the policy is replaced")
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 100 {
		live.Set(two)
		live.Set(one)
	}
	live.Set(two)
	close(stop)
	readers.Wait()
	if live.Lookup("one") != nil || live.Lookup("two") == nil {
		t.Error("not the last policy")
	}
}

// FuzzLookup shows that any name at all has an answer, and the right one for
// rooms of users.
func FuzzLookup(f *testing.F) {
	p, err := matching("**", "a:*", "a:b", "*:c:*", "x/**")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a:b")
	f.Add("x/y:z//")
	f.Fuzz(func(t *testing.T, room string) {
		r := p.Rooms.Lookup(room)
		if (r == nil) != (room == "") {
			t.Fatalf("%q: %+v", room, r)
		}
		if r != nil && (r.Match == "user:*") != wire.IsUserRoom(room) {
			t.Fatalf("%q is ruled by %q", room, r.Match)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	patterns := []string{"**", "chat:*", "chat:lobby", "a:*:c/*"}
	for i := range 900 {
		patterns = append(patterns, fmt.Sprintf("tenant-%d:*:**", i), fmt.Sprintf("room-%d", i))
	}
	p, err := matching(patterns...)
	if err != nil {
		b.Fatal(err)
	}
	for _, room := range []string{"chat:lobby", "chat:x", "tenant-7:a:b", "other:room", "user:ann"} {
		b.Run(room, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p.Rooms.Lookup(room) == nil {
					b.Fatal("unknown")
				}
			}
		})
	}
}
