package examples

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/test/testbed"
)

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// example is one that runs: a gateway and the example's own program, by the two
// commands of its README, on ports of the test's.
type example struct {
	t       *testing.T
	name    string
	ports   *strings.Replacer // from the README's to those of the test
	page    string            // its URL
	gateway *process
	program *process
	public  string // host:port of the gateway
	seen    string // host:port at which pages find it
	admin   string
	command command  // that starts the gateway
	environ []string // of program
	args    []string
}

// runExample starts an example, which ends with the test. environ is what the
// gateway is told besides, such as where Redis is; flags are the program's.
func runExample(t *testing.T, name string, environ []string, flags ...string) *example {
	t.Helper()
	e := newExample(t, name)
	e.command.environ = append(e.command.environ, environ...)
	e.args = append(e.args, flags...)
	e.run()
	return e
}

// newExample reads the commands of an example, and changes ports.
func newExample(t *testing.T, name string) *example {
	t.Helper()
	commands := commandsOf(t, filepath.Join(name, "README.md"))
	if len(commands) != 2 || commands[0].program != "./cmd/gateway" || commands[1].program != "./test/examples/"+name {
		t.Fatalf("the README of %s starts %v, and not the gateway and the example", name, commands)
	}
	doc, err := os.ReadFile(filepath.Join(name, "doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands {
		if !strings.Contains(string(doc), "\n//\t"+c.text+"\n") {
			t.Errorf("the doc.go of %s does not say, as its README: %s", name, c.text)
		}
	}
	listen, public := address(t), address(t)
	e := &example{
		t: t, name: name, ports: strings.NewReplacer("localhost:8080", listen), page: "http://" + listen + "/",
		public: public, seen: public, admin: address(t), command: commands[0],
		environ: commands[1].environ, args: append([]string{"-listen", listen}, commands[1].args...),
	}
	if slices.ContainsFunc(e.command.environ, func(s string) bool { return strings.HasPrefix(s, "ADMIN_API_KEYS=") }) {
		e.args = append(e.args, "-admin", e.admin) // it uses the server API
	}
	e.setPolicy()
	return e
}

// run starts the gateway and the program, which end with the test.
func (e *example) run() {
	e.t.Helper()
	e.args = append(e.args, "-gateway", e.seen)
	e.startGateway()
	e.startProgram()
	// The program ends before the gateway, both as by an interrupt.
	e.t.Cleanup(func() {
		e.program.interrupt(e.t)
		e.gateway.interrupt(e.t)
	})
}

// startGateway starts the gateway, again if it has ended, and waits until it is
// ready.
func (e *example) startGateway() {
	e.t.Helper()
	_, public, _ := net.SplitHostPort(e.public)
	_, admin, _ := net.SplitHostPort(e.admin)
	e.gateway = start(e.t, filepath.Join(dir(e.t), "gateway"), append(slices.Clone(e.command.environ),
		"HOST=127.0.0.1", "PORT="+public, "ADMIN_PORT="+admin, "DRAIN_WINDOW=200ms"), e.command.args...)
	until(e.t, "the gateway is ready", func() bool {
		if e.gateway.over() {
			e.t.Fatal("the gateway has ended")
		}
		resp, err := lone.Get("http://" + e.public + "/health/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// startProgram starts the example's own program, again if it has ended, and waits
// until it listens.
func (e *example) startProgram() {
	e.t.Helper()
	e.program = start(e.t, filepath.Join(dir(e.t), e.name), e.environ, e.args...)
	until(e.t, "the example listens", func() bool {
		if e.program.over() {
			e.t.Fatal("the example has ended")
		}
		return strings.Contains(e.program.log.String(), "open http://")
	})
}

// setPolicy gives the gateway a copy of the example's policy in which the ports
// are those of the test.
func (e *example) setPolicy() {
	e.t.Helper()
	for i, setting := range e.command.environ {
		from, is := strings.CutPrefix(setting, "POLICY_FILE=")
		if !is {
			continue
		}
		text, err := os.ReadFile(filepath.Join("../..", from))
		if err != nil {
			e.t.Fatal(err)
		}
		to := filepath.Join(e.t.TempDir(), "policy.yaml")
		if err := os.WriteFile(to, []byte(e.ports.Replace(string(text))), 0o600); err != nil {
			e.t.Fatal(err)
		}
		e.command.environ[i] = "POLICY_FILE=" + to
	}
}

// command is one that a README says: settings, and a program of this module that
// `go run` runs.
type command struct {
	text    string
	environ []string
	program string
	args    []string
}

// commandsOf are the commands of a README: the lines that are indented.
func commandsOf(t *testing.T, readme string) []command {
	t.Helper()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	var commands []command
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "    ") {
			continue
		}
		environ, run, ok := strings.Cut(strings.TrimSpace(line), "go run ")
		program := strings.Fields(run)
		if !ok || len(program) == 0 {
			t.Fatalf("%s has a command that is no go run: %q", readme, line)
		}
		commands = append(commands, command{strings.TrimSpace(line), strings.Fields(environ), program[0], program[1:]})
	}
	return commands
}

// dir is where the programs are.
func dir(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// process is one that runs.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   testbed.Output
	ended chan struct{}
}

// start starts a program, which ends with the test at the latest.
func start(t *testing.T, path string, environ []string, args ...string) *process {
	t.Helper()
	p := &process{name: filepath.Base(path), cmd: exec.Command(path, args...), ended: make(chan struct{})}
	p.cmd.Env = append(slices.Clone(environ), "GORACE=atexit_sleep_ms=0")
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = &p.log, &p.log, testbed.Attributes()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	spawned.Add(p.cmd.Process.Pid)
	go func() { // ends with the process, which the test's end kills and waits for
		defer close(p.ended)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		if text := p.log.String(); t.Failed() || strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
			t.Errorf("%s said:\n%s", p.name, text[max(0, len(text)-4000):])
		}
	})
	return p
}

// kill ends a process as a crash does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// interrupt ends a process as its user does, and sees that it ends well.
func (p *process) interrupt(t *testing.T) {
	t.Helper()
	if p.over() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Errorf("%s does not end", p.name)
		return
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("%s ended with code %d", p.name, code)
	}
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// lone is a client that keeps no connections.
var lone = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}

// address is localhost and a free port below those that the system gives to
// clients.
func address(t *testing.T) string {
	t.Helper()
	for range 100 {
		at := fmt.Sprintf("localhost:%d", 22_000+rand.IntN(8_000))
		if l, err := net.Listen("tcp", at); err == nil {
			_ = l.Close()
			return at
		}
	}
	t.Fatal("there is no free port")
	return ""
}
