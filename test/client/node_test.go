package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/test/testbed"
)

// scriptTime bounds a script, which bounds its own waits.
const scriptTime = 3 * time.Minute

// answers are what a script may ask for, by what it says. They return what it
// is told then, one line.
type answers map[string]func() string

// script is a script of testdata/node that runs.
type script struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Scanner
	stderr testbed.Output
}

// start starts a script with its arguments. It ends with the test at the latest.
func start(t *testing.T, name string, args map[string]any) *script {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata/node", name))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptTime)
	if long() {
		ctx, cancel = context.WithTimeout(context.Background(), longTime)
	}
	s := &script{t: t, cmd: exec.CommandContext(ctx, "node", append(nodeFlags(t), path, string(text))...)}
	s.cmd.WaitDelay, s.cmd.Stderr, s.cmd.SysProcAttr = time.Second, &s.stderr, testbed.Attributes()
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	spawned.Add(s.cmd.Process.Pid)
	s.lines = bufio.NewScanner(stdout)
	s.lines.Buffer(nil, 16<<20)
	t.Cleanup(func() {
		cancel()
		_ = s.cmd.Wait() // an error when it has been waited for
	})
	return s
}

// nodeFlags are what Node.js needs to have a WebSocket: 22 has one as it is.
func nodeFlags(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("node", "--version").Output()
	if err != nil {
		t.Fatalf("%v: the tests need the package nodejs", err)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
	if n, err := strconv.Atoi(major); err == nil && n < 22 {
		return []string{"--experimental-websocket", "--no-warnings"}
	}
	return nil
}

// tell writes a line to a script.
func (s *script) tell(line string) { _, _ = fmt.Fprintln(s.stdin, line) } // the script's end says it, too

// finish answers a script until it ends, which it must do well, and by itself.
func (s *script) finish(ask answers) {
	s.t.Helper()
	var said strings.Builder
	for s.lines.Scan() {
		what, asks := strings.CutPrefix(s.lines.Text(), "ask ")
		if !asks {
			said.WriteString(s.lines.Text() + "\n")
			continue
		}
		answer, known := ask[what]
		if !known {
			s.t.Errorf("the script asks for %q", what)
			break
		}
		s.tell(answer())
	}
	_ = s.stdin.Close()
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("%v\n%s%s", err, &said, &s.stderr)
		return
	}
	if text := s.stderr.String(); text != "" {
		s.t.Errorf("it complains:\n%s", text)
	}
	s.t.Logf("\n%s", &said)
}

// arguments are what every script is told of a gateway.
func (g *gateway) arguments(more map[string]any) map[string]any {
	args := map[string]any{"http": "http://" + g.public, "ws": "ws://" + g.public + "/ws", "admin": "http://" + g.admin, "key": apiKey}
	for name, value := range more {
		args[name] = value
	}
	return args
}
