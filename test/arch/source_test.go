package arch

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the path that the module's own imports begin with.
const module = "github.com/moonx-farm/ws-gateway"

// tree is the module's source, or a snippet's.
type tree struct {
	fset  *token.FileSet
	files []*file
}

// file is one parsed file. Its path is relative to the module's root.
type file struct {
	path      string
	lines     int
	ast       *ast.File
	generated bool
}

func (f *file) dir() string { return path.Dir(f.path) }

// test reports whether a file is for tests only: so named, below test, or in a
// package of helpers for tests, such as brokertest.
func (f *file) test() bool {
	return strings.HasSuffix(f.path, "_test.go") || strings.HasPrefix(f.path, "test/") || strings.HasSuffix(f.dir(), "test")
}

// imports yields what a file imports, the module's own paths relative to its
// root, with where it does.
func (f *file) imports(yield func(string, token.Pos) bool) {
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err == nil && !yield(strings.TrimPrefix(p, module+"/"), spec.Pos()) {
			return
		}
	}
}

// finding is one breach of a rule.
type finding struct {
	pos  token.Pos
	what string
}

// rule is one rule and why it exists.
type rule struct {
	name, why string
	check     func(*tree) []finding
}

// breaches applies a rule and words what it finds.
func (r rule) breaches(t *tree) []string {
	found := r.check(t)
	slices.SortStableFunc(found, func(a, b finding) int { return cmp.Compare(a.pos, b.pos) })
	var out []string
	for _, f := range found {
		at := t.fset.Position(f.pos)
		out = append(out, fmt.Sprintf("%s:%d: %s\n\trule: %s\n\twhy: %s", at.Filename, at.Line, f.what, r.name, r.why))
	}
	return out
}

// each collects a check of single files.
func each(check func(f *file) []finding) func(*tree) []finding {
	return func(t *tree) []finding {
		var out []finding
		for _, f := range t.files {
			out = append(out, check(f)...)
		}
		return out
	}
}

// shipped is each without tests and what a generator wrote.
func shipped(check func(f *file) []finding) func(*tree) []finding {
	return each(func(f *file) []finding {
		if f.test() || f.generated {
			return nil
		}
		return check(f)
	})
}

func (t *tree) add(name string, src []byte) error {
	parsed, err := parser.ParseFile(t.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.files = append(t.files, &file{
		path: name, ast: parsed, generated: ast.IsGenerated(parsed), lines: t.fset.File(parsed.Pos()).LineCount(),
	})
	return nil
}

// load parses every Go file below root.
func load(t *testing.T, root string) *tree {
	t.Helper()
	src := &tree{fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			base := d.Name()
			if name != root && (base[0] == '.' || base[0] == '_' || base == "testdata" || base == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		return src.add(filepath.ToSlash(rel), text)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(src.files) < 50 {
		t.Fatalf("only %d files: this is not the whole module", len(src.files))
	}
	return src
}

// snippet parses sources by path. A source without a package clause gets one.
func snippet(t *testing.T, sources map[string]string) *tree {
	t.Helper()
	src := &tree{fset: token.NewFileSet()}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		text := sources[name]
		if !strings.Contains(text, "package ") {
			text = "package " + path.Base(path.Dir(name)) + "\n" + text
		}
		if err := src.add(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return src
}

// trial is a snippet and what a rule must say about it, "" for nothing.
type trial struct {
	rule    string
	sources map[string]string
	want    string
}

// try runs a rule over snippets.
func try(t *testing.T, rules []rule, cases map[string]trial) {
	t.Helper()
	used := map[string][2]bool{}
	for name, tc := range cases {
		i := slices.IndexFunc(rules, func(r rule) bool { return r.name == tc.rule })
		if i < 0 {
			t.Fatalf("%s: there is no rule %q", name, tc.rule)
		}
		u := used[tc.rule]
		u[min(len(tc.want), 1)] = true
		used[tc.rule] = u
		t.Run(name, func(t *testing.T) {
			got := rules[i].breaches(snippet(t, tc.sources))
			switch {
			case tc.want == "" && len(got) > 0:
				t.Errorf("flagged without reason: %s", got)
			case tc.want != "" && (len(got) != 1 || !strings.Contains(got[0], tc.want)):
				t.Errorf("%d breaches %q, want one with %q", len(got), got, tc.want)
			case tc.want != "" && !strings.Contains(got[0], rules[i].why):
				t.Errorf("the reason is missing: %s", got[0])
			}
		})
	}
	for _, r := range rules {
		if u := used[r.name]; !u[0] || !u[1] {
			t.Errorf("the rule %q lacks a snippet that it flags or one that it passes", r.name)
		}
	}
}
