package asyncapi_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/asyncapi"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// contract is what the tests read of the document.
type contract struct {
	Operations map[string]struct {
		Action   string
		Messages []reference
		Reply    *struct{ Messages []reference }
	}
	Channels struct {
		Gateway struct {
			Messages map[string]reference
		}
	}
	Components struct {
		Messages map[string]message
		Schemas  map[string]struct {
			Enum                 []string
			MaxLength            int
			MaxProperties        int
			Pattern              string
			OneOf                []struct{ MaxLength int }
			AdditionalProperties json.RawMessage
		}
	}
	Errors []struct {
		Code        wire.Code
		Retryable   bool
		Description string
	} `json:"x-error-codes"`
	Closes []struct {
		Code        wire.CloseCode
		Name        string
		Sent        bool
		Reconnect   string
		Description string
	} `json:"x-close-codes"`
	Limits map[string]json.RawMessage `json:"x-limits"`
}

type reference struct {
	Ref string `json:"$ref"`
}

// key is the last step of a reference.
func (r reference) key() string { return r.Ref[strings.LastIndexByte(r.Ref, '/')+1:] }

type message struct {
	Name, Summary string
	Payload       struct {
		Properties struct {
			Event struct{ Const string }
		}
		AdditionalProperties *bool
	}
	Examples []struct {
		Name    string
		Payload json.RawMessage
	}
}

// served is the document as clients get it.
func served(t *testing.T) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	asyncapi.New().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, asyncapi.Path, nil))
	return rec
}

func read(t *testing.T) contract {
	t.Helper()
	var c contract
	if err := json.Unmarshal(served(t).Body.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// codeEvents are the events of package wire: what clients send, and what the
// gateway does. A new one cannot be forgotten.
func codeEvents(t *testing.T) (client, server []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../wire/events.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	groups := [][]string{}
	for _, decl := range f.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST || !gen.Lparen.IsValid() {
			continue
		}
		var names []string
		for _, spec := range gen.Specs {
			name, err := strconv.Unquote(spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
		groups = append(groups, names)
	}
	if len(groups) != 2 || !slices.Contains(groups[0], wire.EventPublish) || !slices.Contains(groups[1], wire.EventConnected) {
		t.Fatalf("the events of wire are %q", groups)
	}
	return groups[0], append(groups[1], wire.EventHistory, wire.EventPresence) // whose replies have their own name
}

// events are those that the document's messages are about, "" left out, sorted.
func (c *contract) events(t *testing.T, keys map[string]bool) []string {
	t.Helper()
	found := map[string]bool{}
	for key := range keys {
		m, ok := c.Components.Messages[key]
		if !ok {
			t.Fatalf("an operation has the message %q, which there is not", key)
		}
		if event := m.Payload.Properties.Event.Const; event != "" {
			found[event] = true
			if m.Name != event {
				t.Errorf("the message of %q is called %q", event, m.Name)
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// directions are the keys of the messages that clients send, and of those that
// they get.
func (c *contract) directions() (sent, got map[string]bool) {
	sent, got = map[string]bool{}, map[string]bool{}
	for _, op := range c.Operations {
		to := got
		if op.Action == "receive" { // by the gateway
			to = sent
		}
		for _, m := range op.Messages {
			to[m.key()] = true
		}
		if op.Reply != nil {
			for _, m := range op.Reply.Messages {
				got[m.key()] = true
			}
		}
	}
	return sent, got
}

func TestTheEventsOfTheDocumentAreThoseOfTheCode(t *testing.T) {
	c := read(t)
	client, server := codeEvents(t)
	sent, got := c.directions()
	slices.Sort(client)
	slices.Sort(server)
	if events := c.events(t, sent); !slices.Equal(events, client) {
		t.Errorf("clients send\n%q in the document\n%q in the code", events, client)
	}
	if events := c.events(t, got); !slices.Equal(events, server) {
		t.Errorf("the gateway sends\n%q in the document\n%q in the code", events, server)
	}
	maps.Copy(got, sent)
	for key, m := range c.Components.Messages {
		if !got[key] || c.Channels.Gateway.Messages[key].key() != key {
			t.Errorf("the message %s has no operation, or is not in the channel", key)
		}
		if m.Summary == "" || len(m.Examples) == 0 {
			t.Errorf("the message %s has no summary or no example", key)
		}
	}
	for name, op := range c.Operations {
		if op.Action == "receive" && (op.Reply == nil || !slices.ContainsFunc(op.Reply.Messages, func(r reference) bool { return r.key() == wire.EventError })) {
			t.Errorf("%s has no reply, or none that is an error", name)
		}
	}
}

func TestTheErrorCodesOfTheDocumentAreThoseOfTheCode(t *testing.T) {
	c := read(t)
	var codes []wire.Code
	var enum []string
	for _, e := range c.Errors {
		codes, enum = append(codes, e.Code), append(enum, string(e.Code))
		if e.Retryable != e.Code.Retryable() || e.Description == "" {
			t.Errorf("%s: retryable %v, in the code %v; %q", e.Code, e.Retryable, e.Code.Retryable(), e.Description)
		}
	}
	if !slices.Equal(codes, wire.Codes()) || !slices.Equal(enum, c.Components.Schemas["ErrorCode"].Enum) {
		t.Errorf("document %q, its schema %q, code %q", codes, c.Components.Schemas["ErrorCode"].Enum, wire.Codes())
	}
}

func TestTheCloseCodesOfTheDocumentAreThoseOfTheCode(t *testing.T) {
	words := map[wire.Reconnect]string{wire.ReconnectNever: "never", wire.ReconnectNow: "now", wire.ReconnectLater: "later"}
	var codes []wire.CloseCode
	for _, row := range read(t).Closes {
		codes = append(codes, row.Code)
		never := row.Code == wire.CloseNoStatus || row.Code == wire.CloseAbnormal // RFC 6455 section 7.4.1
		if row.Name != row.Code.String() || row.Reconnect != words[row.Code.Reconnect()] || row.Sent == never || row.Description == "" {
			t.Errorf("%d: %+v; the code says %q, %q", row.Code, row, row.Code, words[row.Code.Reconnect()])
		}
	}
	if !slices.Equal(codes, wire.CloseCodes()) {
		t.Errorf("document %v, code %v", codes, wire.CloseCodes())
	}
}

func TestTheLimitsOfTheDocumentAreThoseOfTheCode(t *testing.T) {
	c := read(t)
	for name, want := range map[string]int{
		"eventNameBytes": wire.MaxEventName, "roomNameBytes": wire.MaxRoomName, "requestIdBytes": jsonv1.MaxID,
		"keyBytes": router.MaxKey, "credentialBytes": gateway.MaxToken, "depth": jsonscan.MaxDepth,
	} {
		if got := string(c.Limits[name]); got != strconv.Itoa(want) {
			t.Errorf("%s is %s, in the code %d", name, got, want)
		}
	}
	schemas := c.Components.Schemas
	if schemas["EventName"].MaxLength != wire.MaxEventName || schemas["RoomName"].MaxLength != wire.MaxRoomName ||
		schemas["RequestId"].OneOf[0].MaxLength != jsonv1.MaxID {
		t.Errorf("the schemas have other limits: %+v", schemas)
	}
}

func TestTheDecoderAcceptsEveryExampleOfARequest(t *testing.T) {
	c := read(t)
	sent, got := c.directions()
	for key := range sent {
		m := c.Components.Messages[key]
		if m.Payload.AdditionalProperties == nil || *m.Payload.AdditionalProperties {
			t.Errorf("%s allows fields that the decoder refuses", key)
		}
		for _, e := range m.Examples {
			var req wire.Request
			if err := (jsonv1.Codec{}).Decode(wire.Text, e.Payload, &req); err != nil {
				t.Errorf("%s, %s: %v", key, e.Name, err)
			}
			if event := m.Payload.Properties.Event.Const; event != "" && req.Event != event || event == "" && wire.Reserved(req.Event) {
				t.Errorf("%s, %s: the event is %q", key, e.Name, req.Event)
			}
		}
	}
	for key := range got {
		for _, e := range c.Components.Messages[key].Examples {
			var frame struct {
				Pos    string
				Offset uint64
			}
			if err := json.Unmarshal(e.Payload, &frame); err != nil {
				t.Errorf("%s, %s: %v", key, e.Name, err)
			}
			if p, err := wire.ParsePosition(frame.Pos); frame.Pos != "" && (err != nil || p.Offset != frame.Offset) {
				t.Errorf("%s, %s: the position %q of offset %d: %v", key, e.Name, frame.Pos, frame.Offset, err)
			}
		}
	}
}

func TestAnyPageMayReadTheDocument(t *testing.T) {
	got := served(t)
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff",
	} {
		if value := got.Header().Get(name); value != want || got.Code != http.StatusOK {
			t.Errorf("%d, %s is %q, want %q", got.Code, name, value, want)
		}
	}
	for _, tc := range []struct {
		method, etag string
		want         int
	}{
		{http.MethodGet, got.Header().Get("ETag"), http.StatusNotModified},
		{http.MethodHead, "", http.StatusOK},
		{http.MethodPost, "", http.StatusMethodNotAllowed},
	} {
		req := httptest.NewRequest(tc.method, asyncapi.Path, nil)
		req.Header.Set("If-None-Match", tc.etag)
		rec := httptest.NewRecorder()
		asyncapi.New().ServeHTTP(rec, req)
		if rec.Code != tc.want || (rec.Code == http.StatusMethodNotAllowed) != (rec.Header().Get("Allow") != "") {
			t.Errorf("%s with %q: %d, want %d", tc.method, tc.etag, rec.Code, tc.want)
		}
	}
}
