package policy

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// rooms makes a document of entries, each a line of flow YAML.
func rooms(entries ...string) []byte {
	var b strings.Builder
	b.WriteString("version: 1\nrooms:\n")
	for _, e := range entries {
		b.WriteString("  - {" + e + "}\n")
	}
	return []byte(b.String())
}

func mustParse(t testing.TB, entries ...string) *Policy {
	t.Helper()
	p, err := Parse(rooms(entries...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestADocumentBecomesItsRules(t *testing.T) {
	p, err := Parse([]byte(`
version: 1
rooms:
  - match: "chat:*"
    join: authenticated
    publish: member
    history: {size: 50, age: 90s}
    presence: true
    slow: drop_oldest
    durability: replicated
  - match: ticker/prices
    join: anyone
    publish: backend
    slow: conflate
    durability: async
  - match: closed
    join: nobody
    publish: nobody
    history: {size: 1000000}
  - match: internal
    join: backend
    publish: authenticated
    slow: disconnect
    history: {size: 1, age: 720h}
  - match: user:*
    publish: owner
    presence: true
    history: {size: 0}
  - match: "square:**"
    join: anyone
    publish: anyone
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Room{
		{Match: "user:*", Publish: Member, Presence: true},
		{Match: "chat:*", Join: Authenticated, Publish: Member, Presence: true, Slow: wire.SlowDropOldest, Replicated: true,
			Retention: broker.Retention{Size: 50, Age: 90 * time.Second}},
		{Match: "ticker/prices", Join: Anyone, Publish: Backend, Slow: wire.SlowConflate},
		{Match: "closed", Retention: broker.Retention{Size: MaxHistorySize}},
		{Match: "internal", Join: Backend, Publish: Authenticated, Retention: broker.Retention{Size: 1, Age: MaxHistoryAge}},
		{Match: "square:**", Join: Anyone, Publish: Anyone},
	}
	if got := p.Rules(); !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestADocumentWithoutRoomsKnowsUserRoomsAlone(t *testing.T) {
	p, err := Parse([]byte("version: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Rules(); len(got) != 1 || !reflect.DeepEqual(got[0], defaultUserRoom()) {
		t.Errorf("%+v", got)
	}
	if p.Rooms.Lookup("chat:lobby") != nil || p.Rooms.Lookup("user:ann") == nil {
		t.Error("not what it should know")
	}
}

// TestParseNamesTheLine covers what the YAML reader itself refuses.
func TestParseNamesTheLine(t *testing.T) {
	const head = "version: 1\nrooms:\n  - match: a\n    join: anyone\n    publish: member\n" // five lines
	for name, tc := range map[string]struct{ doc, want string }{
		"an unknown key at the top":    {"version: 1\nroom: []\n", `[2:1] unknown field "room"`},
		"an unknown key in a rule":     {head + "    jion: anyone\n", `[6:5] unknown field "jion"`},
		"an unknown key in history":    {head + "    history: {size: 1, max: 2}\n", `[6:24] unknown field "max"`},
		"a key in capitals":            {head + "    Presence: true\n", `[6:5] unknown field "Presence"`},
		"version twice":                {"version: 1\nversion: 1\n", `[2:1] mapping key "version" already defined`},
		"a key twice in a rule":        {head + "    join: nobody\n", `[6:5] mapping key "join" already defined`},
		"a key twice, once in quotes":  {head + "    \"join\": nobody\n", `[6:5] mapping key "join" already defined`},
		"a key twice in history":       {head + "    history: {size: 1, size: 2}\n", `[6:24] mapping key "size" already defined`},
		"a rule copied and overridden": {head + "  - {<<: {join: anyone}, join: nobody}\n", `[6:`},
		"a word for a number":          {"version: one\n", `[1:10] must be a whole number`},
		"a fraction as version":        {"version: 1.5\n", `[1:10] must be a whole number`},
		"a number in quotes":           {"version: \"1\"\n", `[1:10] must be a whole number`},
		"a fraction as size":           {head + "    history: {size: 0.9}\n", `[6:21] must be a whole number`},
		"a size no int holds":          {head + "    history: {size: 99999999999999999999}\n", `[6:21] `},
		"a number for history":         {head + "    history: 100\n", `[6:14] `},
		"a word for presence":          {head + "    presence: maybe\n", `[6:15] `},
		"a list for a word":            {head + "    slow: [conflate]\n", `[6:11] `},
		"a list at the top":            {"- match: a\n", `[1:1] `},
		"a number as rooms":            {"version: 1\nrooms: 5\n", `[2:8] `},
		"a number as a rule":           {"version: 1\nrooms:\n  - 5\n", `[3:5] `},
		"an asterisk without quotes":   {"version: 1\nrooms:\n  - match: *\n    join: anyone\n", `[3:`},
		"broken YAML":                  {"version: 1\nrooms: [\n", `[2:8] `},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse([]byte(tc.doc))
			if p != nil || err == nil || !strings.HasPrefix(err.Error(), "policy: "+tc.want) {
				t.Errorf("%v, want policy: %s", err, tc.want)
			}
		})
	}
}

func TestParseRefusesWhatIsNotOneDocument(t *testing.T) {
	for name, tc := range map[string]struct{ doc, want string }{
		"nothing":       {"", "the document is empty"},
		"a comment":     {"# rooms come here\n", "the document is empty"},
		"null":          {"null\n", "null"},
		"two documents": {"version: 1\n---\nversion: 1\n", "more than one YAML document"},
		"a tag":         {"version: 1\nrooms: !tag 0\n", "not YAML that can be read"}, // the library panics
		"too large":     {"version: 1\n#" + strings.Repeat("x", MaxDocumentBytes), "larger than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := Parse([]byte(tc.doc)); p != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
	exact := "version: 1\n#" + strings.Repeat("x", MaxDocumentBytes-12)
	if _, err := Parse([]byte(exact)); err != nil || len(exact) != MaxDocumentBytes {
		t.Errorf("%d bytes: %v", len(exact), err)
	}
}

func TestEveryBadValueIsRefused(t *testing.T) {
	const rule = "match: a, join: anyone, publish: member"
	for name, tc := range map[string]struct{ entry, want string }{
		"no match":                 {"join: anyone, publish: member", `rooms[0] "": match must be 1 to 128 bytes`},
		"no join":                  {"match: a, publish: member", `join is missing, must be one of: nobody backend authenticated anyone`},
		"no publish":               {"match: a, join: anyone", `publish is missing, must be one of: nobody backend member authenticated anyone`},
		"members join":             {"match: a, join: member, publish: member", `join is "member"`},
		"owners join":              {"match: a, join: owner, publish: member", `join is "owner"`},
		"owners publish":           {"match: a, join: anyone, publish: owner", `publish is "owner"`},
		"asked who publishes":      {"match: a, join: ask, publish: ask", `publish is "ask"`},
		"a word in capitals":       {"match: a, join: Anyone, publish: member", `join is "Anyone"`},
		"invalid as a word":        {"match: a, join: anyone, publish: invalid", `publish is "invalid"`},
		"slow":                     {rule + ", slow: block", `slow is "block", must be one of: disconnect drop_oldest conflate`},
		"durability":               {rule + ", durability: sync", `durability is "sync", must be one of: async replicated`},
		"a negative size":          {rule + ", history: {size: -1}", `history size is -1, must be 0 to 1000000`},
		"a size too large":         {rule + ", history: {size: 1000001}", `history size is 1000001`},
		"an age without a unit":    {rule + ", history: {size: 1, age: 5}", `history age is "5"`},
		"an age that is a word":    {rule + ", history: {size: 1, age: long}", `history age is "long"`},
		"an age of zero":           {rule + ", history: {size: 1, age: 0s}", `history age is "0s"`},
		"a negative age":           {rule + ", history: {size: 1, age: -5m}", `history age is "-5m"`},
		"an age too large":         {rule + ", history: {size: 1, age: 720h1ns}", `history age is "720h1ns"`},
		"an age without a size":    {rule + ", history: {age: 5m}", `history age without a size keeps nothing`},
		"a space in match":         {`match: "a b", join: anyone, publish: member`, `match must be 1 to 128 bytes`},
		"a match too long":         {"match: " + strings.Repeat("m", 129) + ", join: anyone, publish: member", `match must be 1 to 128 bytes`},
		"half a wildcard":          {`match: "chat:a*", join: anyone, publish: member`, `segment "a*": a wildcard is a whole segment`},
		"half a wildcard first":    {`match: "*a:b", join: anyone, publish: member`, `segment "*a"`},
		"three asterisks":          {`match: "chat:***", join: anyone, publish: member`, `segment "***"`},
		"'**' in the middle":       {`match: "a:**:b", join: anyone, publish: member`, `'**' may only be the last segment`},
		"the room user":            {"match: user, join: anyone, publish: member", `rooms of users take no patterns; their one entry is "user:*"`},
		"one user's room":          {"match: user:ann, join: anyone, publish: member", `rooms of users take no patterns`},
		"all below users":          {`match: "user:**", join: anyone, publish: member`, `rooms of users take no patterns`},
		"below a user":             {`match: "user:*:notes", join: anyone, publish: member`, `rooms of users take no patterns`},
		"joining a user's room":    {`match: "user:*", join: anyone`, `rooms[0] "user:*": join cannot be set: only the owner joins`},
		"members of user rooms":    {`match: "user:*", publish: member`, `publish is "member", must be one of: backend owner`},
		"anyone to a user's room":  {`match: "user:*", publish: anyone`, `publish is "anyone"`},
		"nobody to a user's room":  {`match: "user:*", publish: nobody`, `publish is "nobody"`},
		"bad history of users":     {`match: "user:*", history: {size: -1}`, `history size is -1`},
		"a bad slow word of users": {`match: "user:*", slow: never`, `slow is "never"`},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse(rooms(tc.entry))
			if p != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestAVersionThisProgramDoesNotKnowIsRefused(t *testing.T) {
	for _, doc := range []string{"rooms: []\n", "version: 0\n", "version: 2\n", "version: -1\n"} {
		if _, err := Parse([]byte(doc)); err == nil || !strings.Contains(err.Error(), "must be 1") {
			t.Errorf("%q: %v", doc, err)
		}
	}
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	_, err := Parse([]byte(`
version: 3
rooms:
  - {match: "a*", join: all, publish: all, slow: x, durability: y, history: {size: -1, age: z}}
  - {match: ok, join: anyone, publish: member}
  - {match: "b:*", join: anyone}
  - {match: "*:c", join: anyone, publish: member}
`))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"version is 3", `rooms[0] "a*"`, `segment "a*"`, `join is "all"`, `publish is "all"`, `slow is "x"`, `durability is "y"`,
		"history size is -1", `history age is "z"`, `rooms[2] "b:*"`, "publish is missing", `"b:*" and "*:c" are ambiguous`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "rooms[1]") || strings.Contains(err.Error(), "rooms[3]") {
		t.Errorf("a good rule is reported:\n%v", err)
	}
}

func TestTheNumberOfRulesIsBounded(t *testing.T) {
	doc := func(n int, match string) Document {
		d := Document{Version: 1}
		for i := range n {
			d.Rooms = append(d.Rooms, RoomRule{Match: fmt.Sprintf(match, i), Join: "anyone", Publish: "member"})
		}
		return d
	}
	for _, tc := range []struct {
		n     int
		match string
		want  string
	}{
		{MaxRules, "r%d", ""},
		{MaxRules + 1, "r%d", "10001 rooms, at most 10000"},
		{MaxWildcards, "r%d:*", ""},
		{MaxWildcards + 1, "r%d:*", "1001 rooms with wildcards, at most 1000"},
	} {
		p, err := Compile(doc(tc.n, tc.match))
		if tc.want == "" {
			if err != nil || len(p.Rules()) != tc.n+1 {
				t.Errorf("%d of %q: %v", tc.n, tc.match, err)
			}
		} else if p != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%d of %q: %v", tc.n, tc.match, err)
		}
	}
}

// TestTheEmbeddedDefaults holds the YAML to the words of the documentation.
func TestTheEmbeddedDefaults(t *testing.T) {
	kept := broker.Retention{Size: 100, Age: 5 * time.Minute}
	users := Room{Match: "user:*", Publish: Backend, Retention: kept}
	for level, want := range map[string][]Room{
		// Any room may be joined by anyone and published to by its members,
		// keeps its last 100 messages for 5 minutes and has presence.
		Minimal: {users, {Match: "**", Join: Anyone, Publish: Member, Retention: kept, Presence: true}},
		// Only backends publish; join needs authentication.
		Standard: {users, {Match: "**", Join: Authenticated, Publish: Backend, Retention: kept, Presence: true}},
		// Unknown rooms are refused.
		Strict: {users},
	} {
		t.Run(level, func(t *testing.T) {
			doc, err := Default(level)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Parse(doc)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Rules(); !reflect.DeepEqual(got, want) {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
			if known := p.Rooms.Lookup("any/room:at.all") != nil; known != (level != Strict) {
				t.Errorf("an unnamed room is known: %v", known)
			}
			if own := p.Rooms.Lookup("user:ann"); own == nil || own.Join != Nobody || own.Match != "user:*" {
				t.Errorf("a user's room: %+v", own)
			}
		})
	}
}

func TestThereIsNoDefaultForAnotherLevel(t *testing.T) {
	for _, level := range []string{"", "MINIMAL", "paranoid", "../policy", "minimal.yaml"} {
		if doc, err := Default(level); doc != nil || err == nil || !strings.Contains(err.Error(), "no default") {
			t.Errorf("%q: %v", level, err)
		}
	}
}

func TestEveryEmbeddedFileIsADefault(t *testing.T) {
	files, err := os.ReadDir("defaults")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, err := Default(strings.TrimSuffix(f.Name(), ".yaml")); err != nil {
			t.Errorf("%s is nobody's default: %v", f.Name(), err)
		}
	}
}

func TestPartiesIncludeTheSmallerOnes(t *testing.T) {
	words := "nobody backend member authenticated anyone"
	var got []string
	for w := Nobody; w <= Anyone; w++ {
		got = append(got, w.String())
	}
	if strings.Join(got, " ") != words || Ask.String() != "ask" || (Ask+1).String() != "invalid" {
		t.Errorf("%q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, level := range []string{Minimal, Standard, Strict} {
		doc, err := Default(level)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Add(rooms(`match: "a:*", join: anyone, publish: member, slow: conflate`, `match: "*:b", join: anyone, publish: member`))
	f.Add([]byte("version: 1\nrooms:\n - &a {match: a}\n - *a\n - {<<: *a}\n"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		p, err := Parse(doc)
		if (p == nil) == (err == nil) {
			t.Fatalf("%v, %v", p, err)
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "policy: ") {
				t.Fatalf("%v does not say where it comes from", err)
			}
			return
		}
		for _, r := range p.Rules() {
			if r.Retention.Size < 0 || r.Retention.Age < 0 || r.Publish > Anyone || r.Join > Ask {
				t.Fatalf("%q became %+v", doc, r)
			}
			if wire.IsUserRoom(r.Match) && (r.Match != userMatch || r.Join != Nobody || r.Publish > Member) {
				t.Fatalf("%q grants %+v", doc, r)
			}
		}
	})
}

func ExampleParse() {
	p, err := Parse([]byte(`
version: 1
rooms:
  - match: "chat:*"
    join: authenticated
    publish: member
    history: {size: 100, age: 5m}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	rule := p.Rooms.Lookup("chat:lobby")
	fmt.Println(rule.Match, rule.Join, rule.Publish, rule.Retention.Size)
	fmt.Println(p.Rooms.Lookup("orders:17") == nil)
	// Output:
	// chat:* authenticated member 100
	// true
}
