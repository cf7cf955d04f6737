package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

// readme is what the README says of a first publish: the environment that the
// gateway is started with, and the command.
type readme struct{ env, curl string }

func readReadme(t *testing.T) readme {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "\n## First backend publish\n")
	section, _, _ = strings.Cut(section, "\n## ")
	env := regexp.MustCompile(`(?m)^    (ADMIN_API_KEYS=\S+) go run ./cmd/gateway$`).FindStringSubmatch(section)
	curl := regexp.MustCompile("(?s)```sh\n(curl .*?)```").FindStringSubmatch(section)
	if env == nil || curl == nil {
		t.Fatalf("the README's section has no command that starts the gateway, or no curl:\n%s", section)
	}
	return readme{env[1], curl[1]}
}

// publish runs the README's command, against this gateway, and returns what it
// printed.
func (r readme) publish(t *testing.T, p ports) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("this test runs the README's curl, and there is none in PATH: install it (Debian and Ubuntu: apt-get install curl)")
	}
	const address = "http://localhost:9007/"
	if strings.Count(r.curl, address) != 1 {
		t.Fatalf("the README's curl does not ask %s:\n%s", address, r.curl)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", strings.Replace(r.curl, address, p.page(), 1))
	cmd.Env = append(os.Environ(), "NO_PROXY=localhost", "no_proxy=localhost")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestTheCurlOfTheReadmePublishesToAUser(t *testing.T) {
	said := readReadme(t)
	g := serve(t, freePorts(t), said.env)
	ann, bob := dial(t, g.ports, "ann"), dial(t, g.ports, "bob")
	ann.until("room_joined")
	bob.until("room_joined")

	out := said.publish(t, g.ports)
	var answer struct {
		Room   string
		Offset int
		Pos    string
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Room != "user:ann" || answer.Offset != 1 || answer.Pos == "" {
		t.Errorf("curl printed %q (%v)", out, err)
	}
	if m := ann.until("notice"); string(m.Data) != `{"text": "Hello from a backend"}` {
		t.Errorf("ann got %s", m.Data)
	}
	bob.send(`{"event":"ping","id":7}`)
	if m, err := bob.read(); err != nil || m.Event != "pong" {
		t.Errorf("bob got %+v, %v", m, err)
	}

	// Who was away resumes it.
	late := dial(t, g.ports, "ann")
	late.until("room_joined")
	late.send(`{"event":"history","id":8,"data":{"room":"user:ann"}}`)
	if m := late.until("history"); !strings.Contains(string(m.Data), `"event":"notice"`) {
		t.Errorf("the history has %s", m.Data)
	}
}

func TestTheServerAPIIsShutWithoutAKey(t *testing.T) {
	said := readReadme(t)
	g := serve(t, freePorts(t), "ADMIN_API_KEYS=quite-another-key")
	if out := said.publish(t, g.ports); !strings.Contains(out, `"code":"unauthenticated"`) {
		t.Errorf("with a wrong key curl printed %s", out)
	}
	if got := status(fmt.Sprintf("http://127.0.0.1:%d/api/v1/counts", g.ports.admin)); got != 401 {
		t.Errorf("without a key: %d", got)
	}
	if got := status(fmt.Sprintf("http://127.0.0.1:%d/api/v1/counts", g.ports.public)); got != 404 {
		t.Errorf("on the public port: %d", got)
	}
}

func TestABackendsPublishIsSeenInTheTab(t *testing.T) {
	said := readReadme(t)
	g := serve(t, freePorts(t), said.env)
	b := browser.Open(t)
	openPage(b, g.ports)
	enter(b, "ann")
	said.publish(t, g.ports)
	b.WaitFor(frames("notice"))
	b.Click(frames("notice") + " summary")
	b.WaitText(`[data-testid="frame-json"]`, `"room": "user:ann"`)
	b.WaitText(`[data-testid="frame-json"]`, `"text": "Hello from a backend"`)
	b.MustBeRight()
}
