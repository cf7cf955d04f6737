package arch

import "testing"

func TestStateRulesFlagWhatTheyMust(t *testing.T) {
	const (
		noInit  = "no init functions"
		state   = "package-level variables are constants in all but name"
		exit    = "only main ends the process"
		noPanic = "no panic"
		owner   = "no goroutine without an owner"
	)
	one := func(src string) map[string]string { return map[string]string{"internal/hub/hub.go": src} }
	main := func(src string) map[string]string {
		return map[string]string{"cmd/gateway/main.go": "package main\n" + src}
	}
	try(t, stateRules(), map[string]trial{
		"init":                     {noInit, one("func init() {}"), "func init"},
		"a method init":            {noInit, one("type t struct{}\nfunc (t) init() {}"), ""},
		"init in a test":           {noInit, map[string]string{"internal/hub/hub_test.go": "func init() {}"}, ""},
		"exit in a part":           {exit, one(`import "os"` + "\nfunc f() { os.Exit(1) }"), "calls os.Exit"},
		"a fatal log":              {exit, one(`import "log"` + "\nfunc f() { log.Fatalf(\"\") }"), "calls log.Fatalf"},
		"exit in main":             {exit, main(`import "os"` + "\nfunc main() { os.Exit(1) }"), ""},
		"exit below main":          {exit, map[string]string{"cmd/gateway/internal/cli/cli.go": "package cli\n" + `import "os"` + "\nfunc f() { os.Exit(1) }"}, "calls os.Exit"},
		"exit in TestMain":         {exit, map[string]string{"internal/hub/main_test.go": `import "os"` + "\nfunc f() { os.Exit(1) }"}, ""},
		"panic":                    {noPanic, one(`func f() { panic("x") }`), "calls panic"},
		"recover":                  {noPanic, one(`func f() { defer func() { _ = recover() }() }`), ""},
		"a bare goroutine":         {owner, one("func f() { go f() }"), "does not say who ends it"},
		"one far from its comment": {owner, one("func f() {\n// Ends with f.\n\n\ngo f()\n}"), "does not say who ends it"},
		"one that says it beside":  {owner, one("func f() {\n\tgo f() // ends with f\n}"), ""},
		"one that says it above":   {owner, one("func f() {\n\t// Ends with f.\n\tgo f()\n}"), ""},
		"a wait group's":           {owner, one(`import "sync"` + "\nfunc f() { var wg sync.WaitGroup; wg.Go(f); wg.Wait() }"), ""},
		"one in a test":            {owner, map[string]string{"internal/hub/hub_test.go": "func f() { go f() }"}, ""},

		"an error":                 {state, one(`import "errors"` + "\nvar errX = errors.New(\"x\")"), ""},
		"an error for clients":     {state, one(`import "` + module + `/internal/wire"` + "\nvar errX = wire.NewError(wire.Forbidden, \"x\")"), ""},
		"a guard":                  {state, one("type i interface{ f() }\ntype t struct{}\nfunc (*t) f() {}\nvar _ i = (*t)(nil)"), ""},
		"a map":                    {state, one("var t = map[string]struct{ n int }{\"a\": {1}}\nfunc f() int { return t[\"a\"].n }"), ""},
		"a slice":                  {state, one("var t = []string{\"a\"}\nfunc f() { for range t {} }"), ""},
		"a pattern":                {state, one(`import "regexp"` + "\nvar re = regexp.MustCompile(\"x\")"), ""},
		"a word":                   {state, main("var version = \"dev\""), ""},
		"the linker's word":        {state, main("var version string"), ""},
		"a number in main":         {state, main("var n int"), "var n begins empty"},
		"an empty word elsewhere":  {state, one("var s string"), "var s begins empty"},
		"a written word of main":   {state, main("var version string\nfunc f() { version = \"x\" }"), "assigns to version"},
		"an fx module":             {state, map[string]string{"modules/hubfx/module.go": `import "go.uber.org/fx"` + "\nvar Module = fx.Module(\"hub\")"}, ""},
		"an embedded directory":    {state, one("import \"embed\"\n//go:embed x\nvar fs embed.FS"), ""},
		"a local of the same name": {state, one("var n = 1\nfunc f() { n := 2; n++; _ = &n }"), ""},
		"a field of the same name": {state, one("var n = 1\ntype t struct{ n int }\nfunc (t *t) f() { t.n++ }"), ""},
		"a variable of a test":     {state, map[string]string{"internal/hub/hub_test.go": "var update bool"}, ""},

		"a test writes to its own":   {state, map[string]string{"internal/hub/hub_test.go": "var n = 1\nfunc f() { n++ }"}, ""},
		"a test writes to another's": {state, map[string]string{"internal/hub/hub_test.go": "import \"os\"\nfunc f() { os.Args = nil }"}, ""},

		"an empty one":        {state, one("var n int"), "var n begins empty"},
		"an empty map":        {state, one("var m = make(map[string]int)"), "var m begins with a call"},
		"a pointer":           {state, one("type t struct{}\nvar p = &t{}"), "var p is a pointer"},
		"a table of pointers": {state, one("type t struct{}\nvar p = []*t{&(t{})}"), "var p is a table of pointers"},
		"a mutex":             {state, one(`import "sync"` + "\nvar mu sync.Mutex"), "var mu is made to be shared"},
		"a mutex made":        {state, one(`import "sync"` + "\nvar mu = sync.Mutex{}"), "var mu is made to be shared"},
		"a pool":              {state, one(`import "sync"` + "\nvar pool = sync.Pool{New: func() any { return nil }}"), "var pool is made to be shared"},
		"a counter":           {state, one(`import "sync/atomic"` + "\nvar n atomic.Int64"), "var n is made to be shared"},
		"an atomic pointer":   {state, one(`import "sync/atomic"` + "\nvar p atomic.Pointer[int]"), "var p is made to be shared"},
		"a lock in a table":   {state, one(`import "sync"` + "\nvar t = map[string]sync.Mutex{\"a\": sync.Mutex{}}"), "var t is made to be shared"},
		"a channel":           {state, one("var c chan int"), "var c is made to be shared"},
		"a channel made":      {state, one("var c = make(chan int)"), "var c begins with a call"},
		"a function":          {state, one("var now = func() int { return 1 }"), "var now is a function"},
		"another's function":  {state, one(`import "time"` + "\nvar now = time.Now"), "var now is neither"},
		"a clock's value":     {state, one(`import "time"` + "\nvar start = time.Now()"), "var start begins with a call"},
		"a logger":            {state, one(`import "go.uber.org/zap"` + "\nvar log = zap.NewNop()"), "var log begins with a call"},

		"an assignment":                 {state, one("var n = 1\nfunc f() { n = 2 }"), "assigns to n"},
		"an assignment elsewhere":       {state, map[string]string{"internal/hub/a.go": "var n = 1", "internal/hub/b.go": "func f() { n += 2 }"}, "assigns to n"},
		"an assignment in a test":       {state, map[string]string{"internal/hub/a.go": "var n = 1", "internal/hub/a_test.go": "func f() { n = 2 }"}, "assigns to n"},
		"one of two":                    {state, one("var n = 1\nfunc f() { var m int; m, n = 2, 3; _ = m }"), "assigns to n"},
		"counting":                      {state, one("var n = 1\nfunc f() { n++ }"), "counts in n"},
		"a field":                       {state, one("type t struct{ n int }\nvar v = t{}\nfunc f() { v.n = 1 }"), "assigns to v"},
		"through an error":              {state, one("type e struct{ n int }\nfunc NewError() *e { return nil }\nvar err = NewError()\nfunc f() { err.n = 1 }"), "assigns to err"},
		"an entry":                      {state, one("var m = map[string]int{}\nfunc f() { m[\"a\"] = 1 }"), "assigns to m"},
		"deleting":                      {state, one("var m = map[string]int{}\nfunc f() { delete(m, \"a\") }"), "delete may write to m"},
		"appending":                     {state, one("var s = []int{}\nfunc f() []int { return append(s, 1) }"), "append may write to s"},
		"copying over":                  {state, one("var s = []int{1}\nfunc f() { copy(s[1:], s) }"), "copy may write to s"},
		"sorting":                       {state, one(`import "slices"` + "\nvar s = []int{1}\nfunc f() { slices.Sort(s) }"), "slices.Sort may write to s"},
		"an address":                    {state, one("var n = 1\nfunc f() *int { return &n }"), "takes the address of n"},
		"an entry's address":            {state, one("var s = []int{1}\nfunc f() *int { return &s[0] }"), "takes the address of s"},
		"ranging into":                  {state, one("var n = 1\nfunc f() { for n = range 3 {} }"), "ranges into n"},
		"a method that takes a pointer": {state, one("type t struct{ n int }\nfunc (t *t) add() { t.n++ }\nvar v = t{}\nfunc f() { v.add() }"), "calls a method that may write to v"},
		"a method that takes a copy":    {state, one("type t struct{ n int }\nfunc (t t) get() int { return t.n }\nvar v = t{}\nfunc f() { v.get() }"), ""},
		"another package's":             {state, one(`import "net/http"` + "\nfunc f() { http.DefaultTransport = nil }"), "assigns to http.DefaultTransport"},
		"another package's field":       {state, one(`import "net/http"` + "\nfunc f() { http.DefaultClient.Timeout = 1 }"), "assigns to http.DefaultClient"},
	})
}
