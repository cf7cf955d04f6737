package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// part is one struct of settings.
type part struct {
	name     string // of the field of config.Config
	says     string // the comment above the struct
	settings []setting
}

// setting is one variable.
type setting struct {
	field, env, byDefault, kind string
	secret                      bool
	// says is what stands above it, "" when it shares the comment of the one
	// before.
	says string
}

// source finds structs in the packages of the module.
type source struct {
	root, module string
	parsed       map[string]map[string]*ast.TypeSpec // by folder and name
	imports      map[string]map[string]string        // by folder: name to path
}

// parts reads the struct Config of the package config, which is in dir.
func parts(dir string) ([]part, error) {
	module, err := moduleOf(filepath.Join(dir, ".."))
	if err != nil {
		return nil, err
	}
	s := &source{
		root: filepath.Join(dir, ".."), module: module,
		parsed: map[string]map[string]*ast.TypeSpec{}, imports: map[string]map[string]string{},
	}
	config, err := s.structOf(dir, "Config")
	if err != nil {
		return nil, err
	}
	var all []part
	for _, field := range config.Fields.List {
		if len(field.Names) != 1 || !field.Names[0].IsExported() {
			continue
		}
		p, err := s.part(dir, field)
		if err != nil {
			return nil, err
		}
		if len(p.settings) > 0 {
			all = append(all, p)
		}
	}
	return all, nil
}

func moduleOf(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(string(text), "module "), "\n")
	return strings.TrimSpace(name), nil
}

func (s *source) part(dir string, field *ast.Field) (part, error) {
	p := part{name: field.Names[0].Name}
	where, name := s.resolve(dir, field.Type)
	if name == "" {
		return p, nil
	}
	st, err := s.structOf(where, name)
	if err != nil {
		return p, err
	}
	p.says = s.parsed[where][name].Doc.Text()
	p.settings, err = s.settings(where, st)
	return p, err
}

// resolve tells in which folder a type is declared, and its name; "" for what is
// none of the module's.
func (s *source) resolve(dir string, t ast.Expr) (where, name string) {
	switch t := t.(type) {
	case *ast.Ident:
		if s.parsed[dir][t.Name] != nil {
			return dir, t.Name
		}
	case *ast.SelectorExpr:
		x, ok := t.X.(*ast.Ident)
		if !ok {
			return "", ""
		}
		if path, ok := strings.CutPrefix(s.imports[dir][x.Name], s.module+"/"); ok {
			return filepath.Join(s.root, path), t.Sel.Name
		}
	}
	return "", ""
}

func (s *source) structOf(dir, name string) (*ast.StructType, error) {
	if err := s.parse(dir); err != nil {
		return nil, err
	}
	if spec := s.parsed[dir][name]; spec != nil {
		if st, ok := spec.Type.(*ast.StructType); ok {
			return st, nil
		}
	}
	return nil, fmt.Errorf("%s has no struct %s", dir, name)
}

// parse reads the types of a package.
func (s *source) parse(dir string) error {
	if s.parsed[dir] != nil {
		return nil
	}
	s.parsed[dir], s.imports[dir] = map[string]*ast.TypeSpec{}, map[string]string{}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		s.file(dir, file)
	}
	return nil
}

func (s *source) file(dir string, file *ast.File) {
	for _, spec := range file.Imports {
		path := strings.Trim(spec.Path.Value, `"`)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		s.imports[dir][name] = path
	}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			if t, ok := spec.(*ast.TypeSpec); ok {
				if t.Doc == nil {
					t.Doc = gen.Doc
				}
				s.parsed[dir][t.Name.Name] = t
			}
		}
	}
}

// settings are the fields of a struct that have an env tag, and those of the
// structs in it.
func (s *source) settings(dir string, st *ast.StructType) ([]setting, error) {
	var all []setting
	for _, field := range st.Fields.List {
		if field.Tag != nil {
			tag := reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
			if name, ok := tag.Lookup("env"); ok {
				all = append(all, setting{
					field: field.Names[0].Name, env: name, byDefault: tag.Get("envDefault"), kind: kind(field.Type, name),
					secret: tag.Get("secret") == "true", says: says(field),
				})
				continue
			}
		}
		where, name := s.resolve(dir, field.Type)
		if name == "" {
			continue
		}
		if inner, err := s.structOf(where, name); err == nil {
			more, err := s.settings(where, inner)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
	}
	return all, nil
}

// says is the comment of a field, above it or behind it.
func says(field *ast.Field) string {
	if text := field.Doc.Text(); text != "" {
		return text
	}
	return field.Comment.Text()
}

// kind is what may be written into a variable.
func kind(t ast.Expr, name string) string {
	switch t := t.(type) {
	case *ast.ArrayType:
		return "list, by commas"
	case *ast.SelectorExpr:
		return strings.ToLower(t.Sel.Name) // of time.Duration
	case *ast.Ident:
		switch {
		case strings.HasSuffix(name, "_BYTES"):
			return "bytes"
		case t.Name == "bool":
			return "true, false"
		case t.Name == "float64":
			return "number"
		case strings.Contains(t.Name, "int"):
			return "whole number"
		}
	}
	return "text"
}
