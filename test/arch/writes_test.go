package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// state knows which identifiers of a package are package-level variables.
type state struct {
	info *types.Info
	fset *token.FileSet
}

// newState resolves the identifiers of a package. Imports are not followed:
// go/types stands in an empty package for each, which is enough to tell names
// apart, and files for several systems may declare a name twice.
func newState(t *tree, files []*file) *state {
	s := &state{&types.Info{Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}, t.fset}
	var parsed []*ast.File
	for _, f := range files {
		parsed = append(parsed, f.ast)
	}
	conf := types.Config{Error: func(error) {}, Importer: noImports{}}
	_, _ = conf.Check(files[0].dir(), t.fset, parsed, s.info) // errors are expected
	return s
}

type noImports struct{}

func (noImports) Import(p string) (*types.Package, error) {
	return nil, fmt.Errorf("import %s: not followed", p)
}

// global returns the package-level variable that an expression in f reaches
// into, or "". Tests may have variables of their own, and write to those of
// other packages (os.Args).
func (s *state) global(f *file, e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.SelectorExpr:
			if id, ok := x.X.(*ast.Ident); ok {
				if _, ok := s.info.Uses[id].(*types.PkgName); ok {
					if f.test() {
						return ""
					}
					return id.Name + "." + x.Sel.Name
				}
			}
			e = x.X
		case *ast.Ident:
			v, ok := s.info.Uses[x].(*types.Var)
			if !ok || v.Pkg() == nil || v.Parent() != v.Pkg().Scope() || strings.HasSuffix(s.fset.Position(v.Pos()).Filename, "_test.go") {
				return ""
			}
			return x.Name
		default:
			return ""
		}
	}
}

// writes finds everything in a file that may change a package-level variable.
func (s *state) writes(f *file) []finding {
	var out []finding
	flag := func(how string, targets ...ast.Expr) {
		for _, e := range targets {
			if name := s.global(f, e); e != nil && name != "" {
				out = append(out, finding{e.Pos(), how + " " + name})
			}
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				flag("assigns to", n.Lhs...)
			}
		case *ast.IncDecStmt:
			flag("counts in", n.X)
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				flag("ranges into", n.Key, n.Value)
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				flag("takes the address of", n.X)
			}
		case *ast.SendStmt:
			flag("sends to", n.Chan)
		case *ast.CallExpr:
			if mutates(callee(n)) && len(n.Args) > 0 {
				flag(callee(n)+" may write to", n.Args[0])
			}
		case *ast.SelectorExpr:
			if sel := s.info.Selections[n]; sel != nil && sel.Kind() == types.MethodVal && pointerMethod(sel) {
				flag("calls a method that may write to", n.X)
			}
		}
		return true
	})
	return out
}

// mutates names the functions that write into their first argument.
func mutates(name string) bool {
	switch name {
	case "append", "copy", "delete", "clear", "close", "maps.Copy", "maps.DeleteFunc", "maps.Insert", "slices.Reverse",
		"slices.Delete", "slices.DeleteFunc", "slices.Insert", "slices.Replace", "slices.Compact", "slices.CompactFunc":
		return true
	}
	return strings.HasPrefix(name, "sort.") || strings.HasPrefix(name, "slices.Sort")
}

// pointerMethod reports whether a call takes the address of its receiver.
func pointerMethod(sel *types.Selection) bool {
	sig, ok := sel.Obj().Type().(*types.Signature)
	if !ok || sig.Recv() == nil {
		return false
	}
	_, takes := sig.Recv().Type().(*types.Pointer)
	_, has := sel.Recv().Underlying().(*types.Pointer)
	return takes && !has
}
