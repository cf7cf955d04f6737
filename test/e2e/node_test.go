package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/test/npm"
	"github.com/moonx-farm/ws-gateway/test/testbed"
)

// scriptTime bounds a script, which bounds its own waits.
const scriptTime = 2 * time.Minute

// answers are what a script may ask for, by what it says. They return what it
// is told then, one line.
type answers map[string]func() string

// node runs a script of testdata/node and fails with it. Each "ask …" on its
// output is answered.
func node(t *testing.T, ask answers, script string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptTime)
	defer cancel()
	path, err := filepath.Abs(filepath.Join("testdata/node", script))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "node", append([]string{path}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(packages(t), "node_modules"))
	cmd.WaitDelay = time.Second
	var stderr testbed.Output
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: the tests need the packages nodejs and npm", err)
	}
	said := converse(t, ask, stdout, stdin)
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v\n%s%s", script, err, said, &stderr)
		return
	}
	t.Logf("%s:\n%s", script, said)
}

// converse answers a script and returns what it said.
func converse(t *testing.T, ask answers, from io.Reader, to io.Writer) string {
	t.Helper()
	var said strings.Builder
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		what, asks := strings.CutPrefix(lines.Text(), "ask ")
		if !asks {
			said.WriteString(lines.Text() + "\n")
			continue
		}
		answer, known := ask[what]
		if !known {
			t.Errorf("the script asks for %q", what)
			break
		}
		_, _ = fmt.Fprintln(to, answer()) // the script's end says it, too
	}
	_, _ = io.Copy(io.Discard, from)
	return said.String()
}

// packages is the folder with the packages of the scripts.
func packages(t *testing.T) string {
	t.Helper()
	return npm.Packages(t, "e2e", "testdata/node")
}
