package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/config"
)

// settings is the folder of the package config.
const settings = "../../config"

func TestTheReferenceIsThatOfTheCode(t *testing.T) {
	want, err := generate(settings)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(settings + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("config/README.md is not what the structs say now: run go generate ./config")
	}
}

func TestTheReferenceListsEveryVariableAndNoOther(t *testing.T) {
	text, err := generate(settings)
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)` \\|").FindAllSubmatch(text, -1) {
		listed = append(listed, string(row[1]))
	}
	read := config.Names()
	slices.Sort(listed)
	slices.Sort(read)
	if !slices.Equal(listed, read) {
		t.Errorf("listed:\n%v\nread:\n%v", listed, read)
	}
}

// tree writes a module with a package config and one of settings.
func tree(t *testing.T, code string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range map[string]string{
		"go.mod":              "module example.com/m\n\ngo 1.26\n",
		"config/config.go":    "package config\n\nimport \"example.com/m/part\"\n\ntype Config struct {\n\tServer part.Config\n\tVersion string\n}\n",
		"part/config.go":      "package part\n\nimport \"time\"\n\nvar _ time.Duration\n\n" + code,
		"part/config_test.go": "not Go",
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(root, "config")
}

func TestARowHasWhatTheFieldSays(t *testing.T) {
	dir := tree(t, "type Config struct {\n"+
		"\t// Wait is how long, with TLS; see Key.\n\tWait time.Duration `env:\"WAIT\" envDefault:\"5s\"`\n"+
		"\t// Key and Other are a|b.\n\tKey []string `env:\"KEY\" secret:\"true\"`\n\tOther int64 `env:\"OTHER_BYTES\" envDefault:\"7\"`\n"+
		"\tTLS bool `env:\"USE_TLS\"` // TLS is said behind it.\n\tInner Inner\n}\n"+
		"type Inner struct {\n\t// Rate is one.\n\tRate float64 `env:\"RATE\"`\n\tnone int\n}\n")
	if err := run(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"| `WAIT` | duration | `5s` | `WAIT` is how long, with TLS; see `KEY`. |",
		"| `KEY` | list, by commas |  | `KEY` and `OTHER_BYTES` are a&#124;b. **Secret.** |",
		"| `OTHER_BYTES` | bytes | `7` | `KEY` and `OTHER_BYTES` are a&#124;b. |",
		"| `USE_TLS` | true, false |  | `USE_TLS` is said behind it. |",
		"| `RATE` | number |  | `RATE` is one. |",
	} {
		if !strings.Contains(string(text), row+"\n") {
			t.Errorf("no row %s in\n%s", row, text)
		}
	}
}

func TestASettingWithoutACommentIsNamed(t *testing.T) {
	_, err := generate(tree(t, "type Config struct {\n\tWait time.Duration `env:\"WAIT\"`\n}\n"))
	if err == nil || !strings.Contains(err.Error(), "WAIT") {
		t.Error(err)
	}
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	if _, err := generate(t.TempDir()); err == nil {
		t.Error("a folder without a module is read")
	}
	if _, err := generate(tree(t, "type Config int")); err == nil {
		t.Error("a Config that is no struct is read")
	}
	if _, err := generate(tree(t, "type")); err == nil {
		t.Error("a file that is no Go is read")
	}
	if err := run(t.TempDir()); err == nil {
		t.Error("a folder without a module is written to")
	}
}
