package e2e

import (
	"bufio"
	"github.com/moonx-farm/ws-gateway/test/testbed"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serveFixture starts the fixture of a layer and returns its URL. It must end
// well when it is asked to, at the end of the test.
func serveFixture(t *testing.T, layer string) string {
	t.Helper()
	cmd := exec.Command(fixture, "-listen", "127.0.0.1:0", "-layer", layer)
	cmd.Env = []string{quick}
	var stderr testbed.Output
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the fixture ended with %v: %s", err, &stderr)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "serving ")
	if err != nil || !ok {
		t.Fatalf("the fixture said %q (%v): %s", line, err, &stderr)
	}
	return strings.TrimSuffix(url, "/"+layer+".io/")
}

func TestTheProtocolOfEngineIO(t *testing.T) {
	node(t, nil, "engine.js", serveFixture(t, "engine"))
}

func TestTheProtocolOfSocketIO(t *testing.T) {
	node(t, nil, "socket.js", serveFixture(t, "socket"))
}

func TestTheFixtureSaysWhatItWants(t *testing.T) {
	for name, args := range map[string][]string{
		"another layer": {"-layer", "third"}, "an address that there is not": {"-listen", "nowhere:port"}, "an unknown flag": {"-x"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.Command(fixture, args...).CombinedOutput()
			if err == nil || len(out) == 0 {
				t.Errorf("ended with %v and said %q", err, out)
			}
		})
	}
}
