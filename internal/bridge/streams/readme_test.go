package streams

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/router"
)

// blocks are the README's examples in a language, of the section on Redis.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(readme), "\n## Backends over Redis\n")
	if !found {
		t.Fatal("the README has no section on backends over Redis")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var out []string
	for {
		_, rest, more := strings.Cut(section, "```"+language+"\n")
		if !more {
			return out
		}
		var block string
		block, section, _ = strings.Cut(rest, "```")
		out = append(out, block)
	}
}

// shell runs lines as a reader of the README would.
func shell(t *testing.T, server *redistest.Server, lines string) string {
	t.Helper()
	if _, err := exec.LookPath("redis-cli"); err != nil {
		t.Fatal("this test runs the README's commands, and there is no redis-cli in PATH: install it (Debian and Ubuntu: apt-get install redis-tools)")
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", lines)
	cmd.Env = append(os.Environ(), "REDIS_URL=redis://"+server.Addr())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", lines, err, out)
	}
	return string(out)
}

func TestTheReadmesCommandsAreExecuted(t *testing.T) {
	examples := blocks(t, "sh")
	if len(examples) != 2 {
		t.Fatalf("%d examples", len(examples))
	}
	server := redistest.Single(t)
	cfg := server.Config()
	cfg.Prefix = "ws-gateway:" // as where nothing is set
	r := rigOn(t, cfg)
	r.server = server
	r.start(config())
	shell(t, server, examples[0])
	r.until("both commands", func() bool { return len(r.done()) == 2 })
	r.expect(`news: headline {"text": "Hello"}`, `disconnect ann`)
}

func TestTheReadmesWorkerGetsAClientsEvent(t *testing.T) {
	examples, routes := blocks(t, "sh"), blocks(t, "yaml")
	if len(examples) != 2 || len(routes) != 1 {
		t.Fatalf("%d examples, %d routes", len(examples), len(routes))
	}
	p, err := policy.Parse([]byte("version: 1\n" + routes[0]))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	lines := strings.SplitAfter(strings.TrimSpace(examples[1]), "\n")
	if len(lines) != 3 {
		t.Fatalf("lines %q", lines)
	}
	shell(t, r.server, lines[0])
	route := p.Routes.Lookup("order:create")
	id, err := NewSender(config(), r.redis, r.log).Add(t.Context(), route.Stream, router.Call{
		Identity: &auth.Identity{UserID: "ann", Claims: json.RawMessage(`{}`)}, Connection: "c-1", Event: "order:create",
		ID: []byte("7"), Data: []byte(`{"sku": "x"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Fields(shell(t, r.server, lines[1]))
	for _, want := range []string{"order:create", id, "ann"} {
		if !slices.Contains(said, want) {
			t.Errorf("the worker was told %q, not %s", said, want)
		}
	}
	if out := shell(t, r.server, strings.Replace(lines[2], "1767225600000-0", id, 1)); strings.TrimSpace(out) != "1" {
		t.Errorf("acknowledged: %s", out)
	}
}
