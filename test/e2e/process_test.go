package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/test/testbed"
)

// patience bounds every wait for something that must happen.
const patience = time.Minute

// gatewayProcess is a gateway that serves.
type gatewayProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	ports ports
	log   *testbed.Output
	ended chan struct{} // closed when the process has ended
}

// ports are the free ports of one gateway.
type ports struct{ public, admin int }

func freePorts(t *testing.T) ports {
	t.Helper()
	var p [2]int
	for i := range p {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }() // after both are chosen: they differ
		p[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports{p[0], p[1]}
}

// quick takes away the second that a program built with -race waits at its end.
const quick = "GORACE=atexit_sleep_ms=0"

// env is the whole environment of a gateway on these ports.
func (p ports) env(more ...string) []string {
	return append([]string{
		"HOST=127.0.0.1", fmt.Sprintf("PORT=%d", p.public), fmt.Sprintf("ADMIN_PORT=%d", p.admin),
		"DRAIN_WINDOW=1s",
	}, more...)
}

func (p ports) ready() string  { return fmt.Sprintf("http://127.0.0.1:%d/health/ready", p.public) }
func (p ports) socket() string { return fmt.Sprintf("ws://127.0.0.1:%d/ws", p.public) }
func (p ports) page() string   { return fmt.Sprintf("http://localhost:%d/", p.admin) }

// serve starts a gateway and waits until it is ready. It is stopped with the
// test at the latest.
func serve(t *testing.T, p ports, env ...string) *gatewayProcess {
	t.Helper()
	g := &gatewayProcess{t: t, ports: p, log: &testbed.Output{}, ended: make(chan struct{})}
	g.cmd = exec.Command(program)
	g.cmd.Env = append(p.env(env...), quick)
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	begun := time.Now()
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(g.ended)
		_ = g.cmd.Wait() // the exit code is looked at by stop
	}()
	t.Cleanup(func() {
		_ = g.cmd.Process.Kill() // does nothing to one that has ended
		<-g.ended
		if t.Failed() {
			t.Logf("the gateway said:\n%s", g.log)
		}
	})
	for status(p.ready()) != http.StatusOK {
		select {
		case <-g.ended:
			t.Fatalf("the gateway ended with code %d", g.cmd.ProcessState.ExitCode())
		case <-time.After(2 * time.Millisecond):
		}
		if time.Since(begun) > patience {
			t.Fatal("the gateway does not become ready")
		}
	}
	t.Logf("ready after %v", time.Since(begun).Round(time.Millisecond))
	return g
}

// term asks the gateway to stop.
func (g *gatewayProcess) term() {
	g.t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
}

// wait waits for the end and returns the exit code.
func (g *gatewayProcess) wait() int {
	g.t.Helper()
	select {
	case <-g.ended:
	case <-time.After(patience):
		g.t.Fatal("the gateway does not end")
	}
	return g.cmd.ProcessState.ExitCode()
}

// status asks for a page, 0 when nobody answers.
func status(url string) int {
	client := http.Client{Timeout: patience}
	resp, err := client.Get(url)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// outcome is how a command ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// command runs the program with arguments and waits for its end.
func command(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(slices.Clone(env), quick)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("gateway %v did not end; it said:\n%s%s", args, &stdout, &stderr)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}
