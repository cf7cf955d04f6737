package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"strings"
)

func stateRules() []rule {
	return []rule{
		{
			name:  "no init functions",
			why:   "what runs before main cannot be configured, tested or refused",
			check: shipped(initFunctions),
		},
		{
			name:  "package-level variables are constants in all but name",
			why:   "state belongs to values, or two gateways in one process (every test) share it and race for it",
			check: mutableState,
		},
		{
			name:  "only main ends the process",
			why:   "an exit below main skips every defer and hook: connections are cut without a word",
			check: shipped(exits),
		},
		{
			name:  "no panic",
			why:   "a gateway that panics on a message drops a million connections: return an error",
			check: shipped(panics),
		},
		{
			name:  "no goroutine without an owner",
			why:   "what starts one must be able to stop it and wait for it: WaitGroup.Go, or a comment that says who ends it",
			check: fireAndForget,
		},
	}
}

func initFunctions(f *file) []finding {
	var out []finding
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			out = append(out, finding{fn.Pos(), "func init"})
		}
	}
	return out
}

// callee is a call's function as it is written: "f" or "pkg.F".
func callee(call *ast.CallExpr) string {
	switch fn := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		return fn.Name
	case *ast.SelectorExpr:
		if x, ok := fn.X.(*ast.Ident); ok {
			return x.Name + "." + fn.Sel.Name
		}
	}
	return ""
}

// calls finds calls of functions by their written name.
func calls(f *file, bad func(name string) bool) []finding {
	var out []finding
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && bad(callee(call)) {
			out = append(out, finding{call.Pos(), "calls " + callee(call)})
		}
		return true
	})
	return out
}

func exits(f *file) []finding {
	if f.ast.Name.Name == "main" && path.Dir(f.dir()) == "cmd" {
		return nil
	}
	return calls(f, func(name string) bool {
		return name == "os.Exit" || name == "syscall.Exit" || name == "unix.Exit" ||
			strings.HasPrefix(name, "log.Fatal") || strings.HasPrefix(name, "log.Panic")
	})
}

func panics(f *file) []finding {
	return calls(f, func(name string) bool { return name == "panic" })
}

// fireAndForget finds go statements without a comment on their line or the
// line above.
func fireAndForget(t *tree) []finding {
	return shipped(func(f *file) []finding {
		said := map[int]bool{}
		for _, group := range f.ast.Comments {
			said[t.fset.Position(group.Pos()).Line] = true
			said[t.fset.Position(group.End()).Line+1] = true
		}
		var out []finding
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok && !said[t.fset.Position(g.Pos()).Line] {
				out = append(out, finding{g.Pos(), "a go statement that does not say who ends it"})
			}
			return true
		})
		return out
	})(t)
}

// mutableState checks the package-level variables of every shipped package:
// how each begins, and that nothing, not even a test of its package, writes to
// one afterwards.
func mutableState(t *tree) []finding {
	var out []finding
	packages := map[string][]*file{}
	for _, f := range t.files {
		if !strings.HasPrefix(f.path, "test/") && !f.generated {
			key := f.dir() + " " + f.ast.Name.Name // external tests are a package of their own
			packages[key] = append(packages[key], f)
		}
	}
	for _, files := range packages {
		s := newState(t, files)
		for _, f := range files {
			if !f.test() {
				out = append(out, declared(f)...)
			}
			out = append(out, s.writes(f)...)
		}
	}
	return out
}

// declared judges how the variables of a file begin.
func declared(f *file) []finding {
	var out []finding
	for _, decl := range f.ast.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, s := range gen.Specs {
			spec, ok := s.(*ast.ValueSpec)
			if !ok {
				continue
			}
			embedded := embeds(gen.Doc) || embeds(spec.Doc)
			for i, name := range spec.Names {
				if name.Name == "_" || embedded {
					continue
				}
				if fault := begins(spec, i, f.ast.Name.Name == "main"); fault != "" {
					out = append(out, finding{name.Pos(), fmt.Sprintf("var %s %s", name.Name, fault)})
				}
			}
		}
	}
	return out
}

func embeds(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if strings.HasPrefix(c.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

// begins says what is wrong with the way a variable begins, "" for nothing.
func begins(spec *ast.ValueSpec, i int, command bool) string {
	switch {
	case spec.Type != nil && shared(spec.Type):
		return "is made to be shared and changed"
	case i >= len(spec.Values) && command && isString(spec.Type):
		return "" // the linker writes it, before anything runs
	case i >= len(spec.Values):
		return "begins empty, so something must write it"
	}
	return constantLike(spec.Values[i])
}

func isString(t ast.Expr) bool {
	id, ok := t.(*ast.Ident)
	return ok && id.Name == "string"
}

// shared reports types that exist to be changed.
func shared(t ast.Expr) bool {
	switch t := t.(type) {
	case *ast.ChanType:
		return true
	case *ast.IndexExpr: // atomic.Pointer[T]
		return shared(t.X)
	case *ast.StarExpr:
		return shared(t.X)
	case *ast.SelectorExpr:
		x, ok := t.X.(*ast.Ident)
		return ok && (x.Name == "sync" || x.Name == "atomic")
	}
	return false
}

// constantLike judges an initial value: an error, a table, a word, an fx
// module, or a thing that the standard library makes once and never changes.
func constantLike(v ast.Expr) string {
	switch v := ast.Unparen(v).(type) {
	case *ast.BasicLit:
		return ""
	case *ast.CompositeLit:
		return table(v)
	case *ast.UnaryExpr:
		if v.Op == token.AND {
			return "is a pointer, so anybody may write through it"
		}
		return constantLike(v.X)
	case *ast.FuncLit:
		return "is a function that may be replaced: declare a func"
	case *ast.CallExpr:
		switch name := callee(v); {
		case name == "errors.New", name == "fmt.Errorf", name == "wire.NewError", name == "NewError",
			name == "regexp.MustCompile", name == "netip.MustParseAddr", name == "netip.MustParsePrefix",
			name == "strings.NewReplacer", name == "template.Must",
			strings.HasPrefix(name, "fx."):
			return ""
		}
		return "begins with a call that is not known to make a constant"
	}
	return "is neither an error, a table, an embedded file nor an fx module"
}

// table judges a composite literal: it may hold no pointer, channel or lock.
func table(lit *ast.CompositeLit) string {
	fault := ""
	ast.Inspect(lit, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				fault = "is a table of pointers, so anybody may write through it"
			}
		case *ast.CallExpr:
			if name := callee(n); name == "make" || name == "new" {
				fault = "is a table that holds what is made to be written"
			}
		case *ast.CompositeLit:
			if n.Type != nil && shared(n.Type) {
				fault = "is made to be shared and changed"
			}
		}
		return true
	})
	return fault
}
