package wire

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// constants reads the values of a file's constants whose names begin with a
// prefix, or whose type is typ: a new one cannot be forgotten in the tests.
func constants(t *testing.T, file, prefix, typ string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, decl := range f.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			continue
		}
		for _, spec := range gen.Specs {
			v := spec.(*ast.ValueSpec)
			id, _ := v.Type.(*ast.Ident)
			lit, _ := slices.Concat(v.Values, []ast.Expr{nil})[0].(*ast.BasicLit)
			if name := v.Names[0].Name; lit != nil && (id == nil && typ == "" || id != nil && id.Name == typ) && strings.HasPrefix(name, prefix) {
				found[name] = lit.Value
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("no constants %s* of type %q in %s", prefix, typ, file)
	}
	return found
}

func TestEveryCloseCodeHasItsRow(t *testing.T) {
	consts := constants(t, "close.go", "Close", "CloseCode")
	names := map[string]string{}
	for name, value := range consts {
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		code := CloseCode(n)
		row, ok := closeTable[code]
		switch {
		case !ok:
			t.Errorf("%s (%d) has no row", name, code)
		case row.name == "" || row.name == "other" || code.String() != row.name:
			t.Errorf("%s is called %q", name, row.name)
		case names[row.name] != "":
			t.Errorf("%s and %s are both called %q", name, names[row.name], row.name)
		case code.Reconnect() != row.reconnect:
			t.Errorf("%s advises %d, its row %d", name, code.Reconnect(), row.reconnect)
		}
		names[row.name] = name
	}
	if len(closeTable) != len(consts) {
		t.Errorf("%d rows for %d codes", len(closeTable), len(consts))
	}
	if all := CloseCodes(); len(all) != len(consts) || !slices.IsSorted(all) || len(slices.Compact(all)) != len(consts) {
		t.Errorf("CloseCodes() = %v", all)
	}
}

func TestCloseCodesAdviseWhatTheProtocolSays(t *testing.T) {
	for code, want := range map[CloseCode]Reconnect{
		1001: ReconnectNow,
		1002: ReconnectNever,
		1003: ReconnectNever,
		1006: ReconnectNow,
		1007: ReconnectNever,
		1008: ReconnectNever,
		1009: ReconnectNever,
		1011: ReconnectLater,
		1012: ReconnectNow,
		1013: ReconnectLater,
		4001: ReconnectNever,
		4002: ReconnectNow,
		4003: ReconnectNever,
		4008: ReconnectNow,
		4009: ReconnectLater,
	} {
		if _, ok := closeTable[code]; !ok || code.Reconnect() != want {
			t.Errorf("%d advises %d, want %d", code, code.Reconnect(), want)
		}
	}
	for _, unknown := range []CloseCode{0, 1000, 1004, 2999, 4000, 4999, 65535} {
		if unknown.Reconnect() != ReconnectLater || unknown.String() != "other" {
			t.Errorf("%d: %q, %d", unknown, unknown, unknown.Reconnect())
		}
	}
}

func TestCodesListsEveryErrorCode(t *testing.T) {
	consts := constants(t, "errors.go", "", "Code")
	var want []string
	for _, quoted := range consts {
		code, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, code)
	}
	var got []string
	for _, c := range Codes() {
		got = append(got, string(c))
	}
	documented := "invalid_message unauthenticated forbidden unknown_event too_large rate_limited limit_exceeded " +
		"insufficient_state conflict unavailable internal"
	if strings.Join(got, " ") != documented {
		t.Errorf("Codes() = %q", got)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("Codes() = %q, the constants are %q", got, want)
	}
}

func TestCodesIsNobodysToChange(t *testing.T) {
	Codes()[0] = "changed"
	if Codes()[0] != InvalidMessage {
		t.Error("Codes shares its slice")
	}
}

func TestOnlySomeErrorsAreWorthARetry(t *testing.T) {
	retryable := []Code{RateLimited, LimitExceeded, Unavailable, Internal}
	for _, c := range Codes() {
		if got, want := c.Retryable(), slices.Contains(retryable, c); got != want {
			t.Errorf("%s: %v", c, got)
		}
	}
	if Code("").Retryable() || Code("new").Retryable() {
		t.Error("an unknown code advises a retry")
	}
}

func TestErrorsAreEqualByTheirCode(t *testing.T) {
	err := fmt.Errorf("publish: %w", NewError(Conflict, "the key was used with other content"))
	switch {
	case !IsCode(err, Conflict), IsCode(err, Forbidden), IsCode(nil, Conflict), IsCode(errors.New("conflict"), Conflict):
		t.Error("IsCode")
	case !errors.Is(err, NewError(Conflict, "other words")), errors.Is(err, NewError(Internal, "")), errors.Is(err, errPosition):
		t.Error("errors.Is")
	case err.Error() != "publish: conflict: the key was used with other content":
		t.Errorf("%q", err)
	}
}

func TestEveryEventOfTheGatewayIsReserved(t *testing.T) {
	for name, quoted := range constants(t, "events.go", "Event", "") {
		event, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatal(err)
		}
		if !Reserved(event) {
			t.Errorf("%s (%q) is not reserved", name, event)
		}
		if err := CheckPublishable(event); !IsCode(err, Forbidden) {
			t.Errorf("publishing %q: %v", event, err)
		}
	}
	documented := "authenticate join_room leave_room publish history presence ping " +
		"connected authenticated error room_joined room_left published pong " +
		"member_joined member_left token_expiring gap reconnect"
	for event := range strings.FieldsSeq(documented) {
		if !Reserved(event) {
			t.Errorf("%q is not reserved", event)
		}
	}
}

func TestOtherEventsMayBePublished(t *testing.T) {
	for _, event := range []string{"message", "Error", "error ", "errors", "reconnect2", "x", "déjà", strings.Repeat("e", MaxEventName)} {
		if err := CheckPublishable(event); err != nil || Reserved(event) {
			t.Errorf("%q: %v", event, err)
		}
	}
	for _, event := range []string{"", strings.Repeat("e", MaxEventName+1)} {
		if err := CheckPublishable(event); !IsCode(err, InvalidMessage) {
			t.Errorf("%d bytes: %v", len(event), err)
		}
	}
}

func TestCloseNamesFitACloseFrame(t *testing.T) {
	for code := range closeTable {
		if s := code.String(); len(s) > 123 || !utf8.ValidString(s) { // RFC 6455 section 5.5
			t.Errorf("%d: %q", code, s)
		}
	}
}
