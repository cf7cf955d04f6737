package socketio

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func TestParseRefusesViolations(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want error
	}{
		"nothing":                              {"", errType},
		"an unknown type":                      {"7", errType},
		"a letter":                             {"abc", errType},
		"a binary event without a dash":        {"51", errAttachments},
		"a binary event without a number":      {`5["a"]`, errAttachments},
		"a binary event of no attachments":     {`50-["a"]`, errAttachments},
		"a binary event of eleven":             {`511-["a"]`, errAttachments},
		"a binary event of too many digits":    {"5" + strings.Repeat("1", 1000) + `-["a"]`, errAttachments},
		"a negative number of attachments":     {`5-1-["a"]`, errAttachments},
		"a padded number of attachments":       {`501-["a"]`, errAttachments},
		"a namespace too long":                 {"0/" + strings.Repeat("n", MaxNamespace) + ",", errNamespace},
		"a namespace too long without a comma": {"0/" + strings.Repeat("n", MaxNamespace), errNamespace},
		"a separator in the namespace":         {"0/a\x1eb,", errNamespace},
		"a line break in the namespace":        {"0/a\nb", errNamespace},
		"an id above 2^53-1":                   {`29007199254740992["a"]`, errAckID},
		"an id above 64 bits":                  {`218446744073709551617["a"]`, errAckID},
		"an id of many digits":                 {"2" + strings.Repeat("9", 5000) + `["a"]`, errAckID},
		"an id on a connect":                   {`07{}`, errAckID},
		"an id on a disconnect":                {`17`, errAckID},
		"an acknowledgement without an id":     {`3["a"]`, errAckID},
		"an event without data":                {"2", errData},
		"an event with an object":              {"2{}", errData},
		"an event with a string":               {`2"a"`, errData},
		"an event with broken JSON":            {`2["a"`, errData},
		"an event with text behind":            {`2["a"]x`, errData},
		"an event behind a space":              {`2 ["a"]`, errData},
		"an id with a minus":                   {`2-1["a"]`, errData},
		"an id with letters":                   {`2abc["a"]`, errData},
		"an event nested too deeply":           {`2["a",` + nested(jsonscan.MaxDepth) + `]`, errData},
		"an event nested very deeply":          {`2["a",` + nested(100000) + `]`, errData},
		"an acknowledgement with an object":    {`31{}`, errData},
		"a connect with an array":              {"0[]", errData},
		"a connect with a string":              {`0"token"`, errData},
		"a disconnect with data":               {"1{}", errData},
		"a refusal with a number":              {"4/a,[1]", errData},
		"an empty event":                       {"2[]", errReserved},
		"an empty event with space":            {"2[ ]", errReserved},
		"a name that is null":                  {"2[null]", errReserved},
		"a name that is an array":              {`2[["a"]]`, errReserved},
		"a reserved name":                      {`2["disconnect"]`, errReserved},
		"a reserved name with an escape":       {`2["\u0064isconnect"]`, errReserved},
		"a reserved name of a binary event":    {`51-["connect",{"_placeholder":true,"num":0}]`, errReserved},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tc.in))
			if err != tc.want { //nolint:errorlint // exactly this one
				t.Errorf("%v, want %v", err, tc.want)
			}
			if !wire.IsCode(err, wire.InvalidMessage) || !Violation(err) {
				t.Errorf("%v is no violation", err)
			}
		})
	}
}

func TestParseReadsWhatStandsAtTheLimits(t *testing.T) {
	longest := "/" + strings.Repeat("n", MaxNamespace-1)
	for name, tc := range map[string]struct {
		in, nsp, id, data string
	}{
		"the longest namespace":                 {"0" + longest + ",{}", longest, "", "{}"},
		"the longest namespace, no comma":       {"0" + longest, longest, "", ""},
		"a namespace without its comma":         {"0/custom", "/custom", "", ""},
		"the root written out":                  {`2/,1["a"]`, "/", "1", `["a"]`},
		"the root without its comma":            {"0/", "/", "", ""},
		"a namespace with a query":              {"0/admin?token=1&x=2,{}", "/admin?token=1&x=2", "", "{}"},
		"the largest id":                        {`29007199254740991["a"]`, "/", "9007199254740991", `["a"]`},
		"an id with leading zeros":              {`2007["a"]`, "/", "7", `["a"]`},
		"many zeros":                            {"2" + strings.Repeat("0", 500) + `["a"]`, "/", "0", `["a"]`},
		"white space behind the data":           {"2[\"a\"] \r\n\t", "/", "", `["a"]`},
		"the deepest data":                      {`2["a",` + nested(jsonscan.MaxDepth-1) + `]`, "/", "", `["a",` + nested(jsonscan.MaxDepth-1) + `]`},
		"data with a namespace inside":          {`2["a","/custom,"]`, "/", "", `["a","/custom,"]`},
		"a name that only begins reserved":      {`2["disconnect2"]`, "/", "", `["disconnect2"]`},
		"a reserved name in capitals":           {`2["Disconnect"]`, "/", "", `["Disconnect"]`},
		"the events that the plan's clients do": {`2["error",{}]`, "/", "", `["error",{}]`},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse([]byte(tc.in))
			if err != nil || namespaceOf(p) != tc.nsp || string(p.ID) != tc.id || string(p.Data) != tc.data {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

func TestHeaderLeavesTheDataAlone(t *testing.T) {
	p, err := Header([]byte(`2/custom,12 not JSON`))
	if err != nil || string(p.Namespace) != "/custom" || p.AckID() != 12 || string(p.Data) != " not JSON" || p.Check() == nil {
		t.Errorf("%+v, %v", p, err)
	}
	if n := (Packet{}).AckID(); n != 0 {
		t.Error(n)
	}
}

func TestEventSplitsNameAndArguments(t *testing.T) {
	for in, want := range map[string][2]string{
		`2["a"]`:                       {"a", ""},
		`2["a",1]`:                     {"a", "1"},
		`2[ "a" , 1 , [2,3] ]`:         {"a", "1 , [2,3]"},
		`2["a,b\"]",{"c":",]"}, "\\"]`: {`a,b"]`, `{"c":",]"}, "\\"`},
		`2[7,1]`:                       {"7", "1"},
		`2[-1.50e+0]`:                  {"-1.50e+0", ""},
		`2["join_room",{}]`:            {"join_room", "{}"},
		`31[1,2]`:                      {"", ""},
		`0{}`:                          {"", ""},
	} {
		p, err := Parse([]byte(in))
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		if name, args := p.Event(); name != want[0] || string(args) != want[1] {
			t.Errorf("%s: %q %q", in, name, args)
		}
	}
}

func TestEventOfUncheckedDataIsHarmless(t *testing.T) {
	for _, data := range []string{"", "[", "[]", `["]`, `["`, `["\]`, `["\"]`, "[,]", `[",`, "}{", "[]]]]", `["connect"]`} {
		p := Packet{Type: Event, Data: []byte(data)}
		p.Event()
	}
}

func TestEventDataIsReadBack(t *testing.T) {
	for _, tc := range []struct{ name, args, want string }{
		{"a", "", `["a"]`},
		{"a", "1,[2]", `["a",1,[2]]`},
		{"a\"\x1e", "", `["a\"\u001e"]`},
		{"disconnect", "1", `["event:disconnect",1]`},
		{"newListener", "", `["event:newListener"]`},
	} {
		got := EventData(tc.name, []byte(tc.args))
		p := Packet{Type: Event, Data: got}
		if string(got) != tc.want || p.Check() != nil {
			t.Errorf("%s, want %s", got, tc.want)
		}
	}
}

// FuzzParse checks what is read against encoding/json, and that it is written
// as it was read.
func FuzzParse(f *testing.F) {
	for _, tc := range readGolden(f).Packets {
		f.Add([]byte(tc.Text))
	}
	for _, s := range []string{
		"", "0", "1/a", "2007[]", `2/,1["a"]`, `50-["a"]`, `2["a",[[[[`, `2["\ud800"]`, `2["a"] `, `2[1e5,2]`, `510-[""]`, `29007199254740992["a"]`,
		`4"x"`, `2["disconnect"]`, `2["a\\",{"b":"\\\""}]`, "0/\x1e",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if !utf8.Valid(in) { // the transport refuses those before
			return
		}
		before := bytes.Clone(in)
		p, err := Parse(in)
		if !bytes.Equal(in, before) {
			t.Fatalf("%q was changed", before)
		}
		if err != nil {
			if !wire.IsCode(err, wire.InvalidMessage) {
				t.Fatalf("%q: %v", in, err)
			}
			return
		}
		checkParsed(t, in, p)
		again, err := Parse(p.Append(nil))
		if err != nil || again.Type != p.Type || !bytes.Equal(again.Namespace, p.Namespace) || !bytes.Equal(again.ID, p.ID) ||
			!bytes.Equal(again.Data, p.Data) || again.Attachments != p.Attachments {
			t.Fatalf("%q: %+v became %+v, %v", in, p, again, err)
		}
	})
}

func checkParsed(t *testing.T, in []byte, p Packet) {
	t.Helper()
	if p.Data != nil && !json.Valid(p.Data) || len(p.Namespace) > MaxNamespace || p.AckID() > MaxAckID ||
		p.Attachments > MaxAttachments || (p.Attachments > 0) != p.Type.Binary() {
		t.Fatalf("%q: %+v", in, p)
	}
	if !p.IsEvent() {
		return
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(p.Data, &elements); err != nil || len(elements) == 0 {
		t.Fatalf("%q: %v", in, err)
	}
	var name string
	if json.Unmarshal(elements[0], &name) != nil {
		name = string(elements[0])
	}
	got, args := p.Event()
	if got != name || reserved(got) {
		t.Fatalf("%q: the name is %q, encoding/json says %q", in, got, name)
	}
	var rest []json.RawMessage
	if err := json.Unmarshal([]byte("["+string(args)+"]"), &rest); err != nil || len(rest) != len(elements)-1 {
		t.Fatalf("%q: the arguments are %q", in, args)
	}
	for i := range rest {
		if !bytes.Equal(rest[i], elements[i+1]) {
			t.Fatalf("%q: argument %d is %q", in, i, rest[i])
		}
	}
}
