package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// node is a part of a JSON document.
type node = map[string]any

// readDocument reads openapi.json as it is in the tree.
func readDocument(t *testing.T) node {
	t.Helper()
	b, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc node
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// resolve follows a $ref.
func resolve(t *testing.T, doc, n node) node {
	t.Helper()
	ref, ok := n["$ref"].(string)
	if !ok {
		return n
	}
	at := any(doc)
	for _, step := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		m, ok := at.(node)
		if !ok || m[step] == nil {
			t.Fatalf("%s leads nowhere", ref)
		}
		at = m[step]
	}
	return resolve(t, doc, at.(node))
}

// child is a part of n, resolved; nil without it.
func child(t *testing.T, doc, n node, steps ...string) node {
	t.Helper()
	for _, step := range steps {
		next, ok := n[step].(node)
		if !ok {
			return nil
		}
		n = resolve(t, doc, next)
	}
	return n
}

// operation finds the operation that a request means, "" for none.
func operation(t *testing.T, doc node, method, path string) (string, node) {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	for pattern, item := range doc["paths"].(node) {
		like := regexp.MustCompile("^" + regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(pattern), "[^/]+") + "$")
		if op := child(t, doc, item.(node), strings.ToLower(method)); op != nil && like.MatchString(path) {
			return method + " " + pattern, op
		}
	}
	return "", nil
}

// holdToDocument checks that an answer is one that the document promises.
func holdToDocument(t *testing.T, a ask, got answered) {
	t.Helper()
	doc := readDocument(t)
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s %s: headers %v", a.method, a.path, got.header)
	}
	name, op := operation(t, doc, a.method, a.path)
	kind, schema := "application/problem+json", child(t, doc, doc, "components", "schemas", "Problem")
	if op != nil {
		response := child(t, doc, op, "responses", fmt.Sprint(got.status))
		if response == nil {
			t.Errorf("%s answers %v, which is not documented", name, got)
			return
		}
		if got.status == 200 {
			kind = "application/json"
		}
		schema = child(t, doc, response, "content", kind, "schema")
		for header := range child(t, doc, response, "headers") {
			if got.header.Get(header) == "" {
				t.Errorf("%s %d has no %s", name, got.status, header)
			}
		}
	}
	if a.method == "HEAD" {
		return
	}
	var value any
	if err := json.Unmarshal(got.body, &value); err != nil || got.header.Get("Content-Type") != kind {
		t.Errorf("%s %s: %v as %s", a.method, a.path, got, got.header.Get("Content-Type"))
	}
	for _, fault := range (&validator{t, doc}).check("", schema, value) {
		t.Errorf("%s %s: %v: %s", a.method, a.path, got, fault)
	}
}

// validator checks values against the part of JSON Schema that the document
// uses.
type validator struct {
	t   *testing.T
	doc node
}

func (v *validator) check(at string, schema node, value any) []string {
	v.t.Helper()
	if schema == nil {
		return []string{at + ": no schema"}
	}
	schema = resolve(v.t, v.doc, schema)
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, at+": "+fmt.Sprintf(format, args...)) }
	for keyword, want := range schema {
		switch keyword {
		case "description", "default", "properties": // properties: with additionalProperties
		case "const":
			if value != want {
				fault("want %v", want)
			}
		case "enum":
			if !slices.Contains(want.([]any), value) {
				fault("%v is none of %v", value, want)
			}
		case "type":
			if !isType(value, want.(string)) {
				fault("%v is no %v", value, want)
			}
		case "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems":
			if n := measure(value); strings.HasPrefix(keyword, "min") == (n < want.(float64)) && n != want.(float64) {
				fault("%v breaks %s %v", value, keyword, want)
			}
		case "pattern":
			if s, ok := value.(string); ok && !regexp.MustCompile(want.(string)).MatchString(s) {
				fault("%q does not match", s)
			}
		case "items":
			list, _ := value.([]any)
			for i, item := range list {
				faults = append(faults, v.check(fmt.Sprintf("%s[%d]", at, i), want.(node), item)...)
			}
		case "required":
			for _, name := range want.([]any) {
				if m, ok := value.(node); ok && !has(m, name.(string)) {
					fault("no %v", name)
				}
			}
		case "additionalProperties":
			m, _ := value.(node)
			for _, name := range slices.Sorted(maps.Keys(m)) {
				p, known := schema["properties"].(node)[name].(node)
				if !known {
					fault("%s is not documented", name)
					continue
				}
				faults = append(faults, v.check(at+"."+name, p, m[name])...)
			}
		case "oneOf":
			fits := 0
			for _, one := range want.([]any) {
				if len(v.check(at, one.(node), value)) == 0 {
					fits++
				}
			}
			if fits != 1 {
				fault("fits %d of oneOf", fits)
			}
		case "dependentRequired":
			for name, needs := range want.(node) {
				m, _ := value.(node)
				for _, need := range needs.([]any) {
					if has(m, name) && !has(m, need.(string)) {
						fault("%s without %v", name, need)
					}
				}
			}
		default:
			fault("the document uses %s, which the test does not know", keyword)
		}
	}
	return faults
}

func has(m node, name string) bool { _, ok := m[name]; return ok }

func isType(value any, name string) bool {
	switch name {
	case "integer":
		f, ok := value.(float64)
		return ok && f == math.Trunc(f)
	case "number":
		_, ok := value.(float64)
		return ok
	}
	return value != nil && map[string]reflect.Kind{
		"object": reflect.Map, "array": reflect.Slice, "string": reflect.String, "boolean": reflect.Bool,
	}[name] == reflect.TypeOf(value).Kind()
}

func measure(value any) float64 {
	switch value := value.(type) {
	case float64:
		return value
	case string:
		return float64(utf8.RuneCountInString(value))
	case []any:
		return float64(len(value))
	}
	return math.NaN()
}

func TestTheValidatorSeesWhatIsWrong(t *testing.T) {
	schema := node{
		"type": "object", "required": []any{"n"}, "additionalProperties": false,
		"properties": node{
			"n": node{"type": "integer", "minimum": 1.0, "maximum": 3.0},
			"s": node{"type": "string", "minLength": 2.0, "pattern": "^a"},
			"l": node{"type": "array", "maxItems": 1.0, "items": node{"enum": []any{"x"}}},
			"u": node{"type": "boolean"},
		},
		"oneOf":             []any{node{"required": []any{"s"}}, node{"required": []any{"l"}}},
		"dependentRequired": node{"u": []any{"s"}},
	}
	for text, faults := range map[string]int{
		`{"n":1,"s":"ab"}`: 0, `{"n":3,"l":["x"]}`: 0, `{"n":2,"s":"ab","u":true}`: 0,
		`{"s":"ab"}`: 1, `{"n":0,"s":"ab"}`: 1, `{"n":4,"s":"ab"}`: 1, `{"n":1.5,"s":"ab"}`: 1, `{"n":1,"s":"a"}`: 1, `{"n":1,"s":"ba"}`: 1,
		`{"n":1}`: 1, `{"n":1,"s":"ab","l":[]}`: 1, `{"n":1,"l":["x","x"]}`: 1, `{"n":1,"l":["y"]}`: 1, `{"n":1,"l":[],"u":false}`: 1,
		`{"n":1,"s":"ab","x":0}`: 1, `{"n":"1","s":"ab"}`: 1, `[]`: 2, `{"n":1,"s":null}`: 1,
	} {
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		if got := (&validator{t, node{}}).check("", schema, value); len(got) != faults {
			t.Errorf("%s: %q, want %d", text, got, faults)
		}
	}
}
