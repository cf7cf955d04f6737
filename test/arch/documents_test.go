package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"strings"
	"testing"
)

func documentRules() []rule {
	return []rule{
		{
			name:  "every package has a doc.go, or is one file with its comment",
			why:   "a reader learns what a package owns before its first line of code",
			check: missingDocs,
		},
		{
			name:  "every exported name is documented",
			why:   "units, limits, errors and concurrency are part of an interface, and stand nowhere else",
			check: shipped(undocumented),
		},
	}
}

func missingDocs(t *tree) []finding {
	type seen struct {
		first *file
		files int // without tests
		doc   bool
		own   bool // the last file has a comment of its own
	}
	packages := map[string]seen{}
	for _, f := range t.files {
		s := packages[f.dir()]
		if s.first == nil {
			s.first = f
		}
		if !strings.HasSuffix(f.path, "_test.go") {
			s.files++
			s.own = f.ast.Doc != nil
			s.doc = s.doc || path.Base(f.path) == "doc.go" && f.ast.Doc != nil
		}
		packages[f.dir()] = s
	}
	var out []finding
	for dir, s := range packages {
		if !s.doc && (s.files != 1 || !s.own) {
			out = append(out, finding{s.first.ast.Pos(), fmt.Sprintf("%s has no package comment in a doc.go", dir)})
		}
	}
	return out
}

// undocumented finds exported names without a comment: functions, methods of
// exported types, types, constants and variables. A comment above a group speaks
// for the group, as an interface's does for its methods.
func undocumented(f *file) []finding {
	if f.ast.Name.Name == "main" {
		return nil
	}
	var out []finding
	need := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		if !name.IsExported() {
			return
		}
		for _, d := range docs {
			if d != nil && d.Text() != "" {
				return
			}
		}
		out = append(out, finding{name.Pos(), name.Name + " is exported without a comment"})
	}
	for _, decl := range f.ast.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil || ast.IsExported(receiver(decl)) {
				need(decl.Name, decl.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					need(spec.Name, decl.Doc, spec.Doc, spec.Comment)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						need(name, group(decl), spec.Doc, spec.Comment)
					}
				}
			}
		}
	}
	return out
}

// group is the comment of a declaration of constants or variables.
func group(decl *ast.GenDecl) *ast.CommentGroup {
	if decl.Tok == token.CONST || decl.Tok == token.VAR {
		return decl.Doc
	}
	return nil
}

// receiver names the type that a method belongs to.
func receiver(fn *ast.FuncDecl) string {
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

func TestDocumentRulesFlagWhatTheyMust(t *testing.T) {
	const (
		pkg  = "every package has a doc.go, or is one file with its comment"
		name = "every exported name is documented"
	)
	one := func(src string) map[string]string { return map[string]string{"internal/hub/hub.go": src} }
	try(t, documentRules(), map[string]trial{
		"a package with its comment":  {pkg, map[string]string{"internal/hub/doc.go": "// Package hub is.\npackage hub"}, ""},
		"one file with a comment":     {pkg, one("// Package hub is.\npackage hub"), ""},
		"one file and its test":       {pkg, map[string]string{"internal/hub/hub.go": "// Package hub is.\npackage hub", "internal/hub/hub_test.go": "package hub"}, ""},
		"one file without a comment":  {pkg, one("package hub"), "internal/hub has no package comment"},
		"two files without a doc.go":  {pkg, map[string]string{"internal/hub/a.go": "// Package hub is.\npackage hub", "internal/hub/b.go": "package hub"}, "internal/hub has no package comment"},
		"a doc.go without a comment":  {pkg, map[string]string{"internal/hub/doc.go": "package hub"}, "internal/hub has no package comment"},
		"a doc.go with a stray one":   {pkg, map[string]string{"internal/hub/doc.go": "// Package hub is.\n\npackage hub"}, "internal/hub has no package comment"},
		"a package of tests alone":    {pkg, map[string]string{"test/flow/flow_test.go": "package flow"}, "test/flow has no package comment"},
		"a function":                  {name, one("func F() {}"), "F is exported without a comment"},
		"a documented function":       {name, one("// F does.\nfunc F() {}"), ""},
		"only a directive":            {name, one("//go:noinline\nfunc F() {}"), "F is exported"},
		"a method":                    {name, one("// T is.\ntype T struct{}\nfunc (t *T) M() {}"), "M is exported"},
		"a generic type's method":     {name, one("// T is.\ntype T[K any] struct{}\nfunc (t *T[K]) M() {}"), "M is exported"},
		"a method of a hidden type":   {name, one("type t struct{}\nfunc (t *t) M() {}"), ""},
		"a type":                      {name, one("type T int"), "T is exported"},
		"an interface":                {name, one("type T interface{ M() }"), "T is exported"},
		"a constant":                  {name, one("const C = 1"), "C is exported"},
		"a constant of a group":       {name, one("// The constants.\nconst (\n\tC = 1\n)"), ""},
		"a constant with its comment": {name, one("const (\n\tC = 1 // one\n)"), ""},
		"a variable":                  {name, one("var V = 1"), "V is exported"},
		"a hidden name":               {name, one("func f() {}\ntype t int\nconst c = 1\nvar v = 1"), ""},
		"a name of a test":            {name, map[string]string{"internal/hub/hub_test.go": "func TestX() {}"}, ""},
	})
}
