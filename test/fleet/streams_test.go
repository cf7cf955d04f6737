package fleet

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

// readme are the examples in the README's section on backends over Redis.
type readme struct {
	commands string // shell
	workers  string // shell
	route    string // YAML
	event    string // what a client sends
}

func readReadme(t *testing.T) readme {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(b), "\n## Backends over Redis\n")
	section, _, _ = strings.Cut(section, "\n## ")
	shells, yamls := blocks(section, "sh"), blocks(section, "yaml")
	_, event, sends := strings.Cut(section, "A client that sends `")
	event, _, _ = strings.Cut(event, "`")
	if !found || len(shells) != 2 || len(yamls) != 1 || !sends {
		t.Fatalf("the README's section on backends over Redis is not what this test reads: %d and %d examples", len(shells), len(yamls))
	}
	return readme{commands: shells[0], workers: shells[1], route: yamls[0], event: event}
}

// blocks are the fenced examples of a language.
func blocks(text, language string) (out []string) {
	for {
		_, rest, more := strings.Cut(text, "```"+language+"\n")
		if !more {
			return out
		}
		var block string
		block, text, _ = strings.Cut(rest, "```")
		out = append(out, block)
	}
}

// shell runs lines as a reader of the README would.
func shell(t *testing.T, redis *redistest.Server, lines string) string {
	t.Helper()
	if _, err := exec.LookPath("redis-cli"); err != nil {
		t.Fatal("this test runs the README's commands, and there is no redis-cli in PATH: install it (Debian and Ubuntu: apt-get install redis-tools)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", lines)
	cmd.Env = append(os.Environ(), "REDIS_URL=redis://"+redis.Addr())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", lines, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestTheReadmesCommandsReachClientsOfEveryInstance(t *testing.T) {
	t.Parallel()
	said := readReadme(t)
	redis := redistest.Single(t)
	f := newFleet(t, on(redis), "COMMAND_LEASE=1s")
	a, b := f.add("a"), f.add("b")
	f.settle()
	readers := []*client{a.enter("bob", "news"), b.enter("carl", "news")}
	anns := []*client{a.connect("ann"), b.connect("ann")}
	ids := strings.Fields(shell(t, redis, said.commands))
	if len(ids) != 2 {
		t.Fatalf("redis-cli printed %q", ids)
	}
	for _, c := range readers {
		if got := c.hears("news", 1)[0]; got.Event != "headline" || string(got.Data) != `{"text": "Hello"}` || got.Offset != 1 {
			t.Errorf("%s got %+v", c.user, got)
		}
	}
	for _, c := range anns {
		c.ended(4003)
	}
	const stream = "'ws-gateway:stream:{commands}'"
	until(t, "what was executed is deleted", func() bool { return shell(t, redis, `redis-cli -u "$REDIS_URL" XLEN `+stream) == "0" })

	// What cannot be executed is moved away with the reason, and holds up nobody.
	shell(t, redis, `redis-cli -u "$REDIS_URL" XADD `+stream+` '*' op publish room news event headline data '{'`)
	shell(t, redis, `redis-cli -u "$REDIS_URL" XADD `+stream+` '*' op publish room news event headline data 2`)
	// An entry that is added again publishes once by its key, whoever reads.
	again := `redis-cli -u "$REDIS_URL" XADD ` + stream + ` '*' op publish room news event headline data 3 idempotencyKey k`
	shell(t, redis, again)
	readers[1].hears("news", 3)
	dead := shell(t, redis, `redis-cli -u "$REDIS_URL" XRANGE 'ws-gateway:stream:{commands}:dead' - +`)
	if !strings.Contains(dead, "invalid_message") || !strings.Contains(dead, "dead-reason") {
		t.Errorf("dead letters: %s", dead)
	}
	a.stop() // perhaps the one that read
	shell(t, redis, again)
	shell(t, redis, `redis-cli -u "$REDIS_URL" XADD `+stream+` '*' op publish user carl event note data 4`)
	readers[1].hears("user:carl", 1)
	if got := readers[1].heard("news"); len(got) != 3 || got[1].Offset != 2 || string(got[1].Data) != "2" || string(got[2].Data) != "3" {
		t.Errorf("news: %+v", got)
	}
}

func TestTheReadmesRouteBringsClientsEventsToAWorker(t *testing.T) {
	t.Parallel()
	said := readReadme(t)
	redis := redistest.Single(t)
	f := newFleet(t, on(redis), "POLICY_FILE="+policyFile(t, policyText+said.route))
	f.add("a")
	f.add("b")
	f.settle()
	lines := strings.Split(strings.TrimSpace(said.workers), "\n")
	shell(t, redis, lines[0])
	for _, g := range f.all {
		c := g.connect("ann")
		c.write([]byte(said.event))
		m := c.reply(7)
		var d struct{ ID string }
		if err := json.Unmarshal(m.Data, &d); err != nil || m.Event != "order:create" || d.ID == "" {
			t.Fatalf("the reply is %s %s (%v)", m.Event, m.Data, err)
		}
		got := strings.Split(shell(t, redis, lines[1]), "\n")
		for i := range got {
			got[i] = strings.TrimSpace(got[i])
		}
		for field, want := range map[string]string{
			"event": "order:create", "data": `{"sku": "x"}`, "id": "7", "user": "ann", "guest": "false", "connection": c.id, "instance": g.name, "address": "127.0.0.1",
		} {
			if i := slices.Index(got, field); i < 0 || i+1 == len(got) || got[i+1] != want {
				t.Errorf("%s: the worker was told\n%s\nand not %s %s", g.name, strings.Join(got, "\n"), field, want)
			}
		}
		if !slices.Contains(got, d.ID) {
			t.Errorf("the entry is not %s", d.ID)
		}
		if out := shell(t, redis, strings.Replace(lines[2], "1767225600000-0", d.ID, 1)); out != "1" {
			t.Errorf("acknowledged: %s", out)
		}
	}
}
