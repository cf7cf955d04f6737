package readme

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// command matches code within the text that a reader would type.
var command = regexp.MustCompile(`^(?:[A-Z_]+=\S+ )*(?:gateway|wsbench|go|docker|kubectl|helm|\.ci/\S+) \S`)

// commands are the page's outside its blocks of code.
func commands(t *testing.T) (all []string) {
	t.Helper()
	_, text := parts(t)
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(text, -1) {
		if command.MatchString(m[1]) {
			all = append(all, m[1])
		}
	}
	return all
}

// within says of every command within the text, by how it begins, which test does it.
var within = map[string]string{
	"wsbench ":                            "TestTheLoadGeneratorRunsAsDescribed",
	"go build -o bin/ ./cmd/...":          "TestTheGatewaysCommandsAnswer",
	"go doc ":                             "TestTheGatewaysCommandsAnswer",
	"gateway config":                      "TestTheGatewaysCommandsAnswer",
	"gateway healthcheck":                 "TestTheGatewaysCommandsAnswer",
	"gateway probe ":                      "TestTheGatewaysCommandsAnswer",
	"go run github.com/go-task/task/":     "TestTheTestCommandIsWhatCIRuns",
	"go test ":                            "TestTheTestsThatThePageNamesAreThere",
	"GATEWAY_LONG=1 go test ":             "TestTheTestsThatThePageNamesAreThere",
	"docker compose up --build --wait":    "TestTheCommandsOfDockerAreThoseThatItsOwnTestRuns",
	"docker compose up -d --no-recreate ": "TestTheCommandsOfDockerAreThoseThatItsOwnTestRuns",
	".ci/release v1.2.3 dist":             "TestTheReleaseIsMadeAsDescribed",
	"helm test":                           "TestTheChartIsRenderedAsDescribed",
	// Without a cluster no more than that there is a Deployment, which it restarts.
	"kubectl rollout restart": "TestTheChartIsRenderedAsDescribed",
}

func TestEveryCommandWithinTheTextIsDoneByATest(t *testing.T) {
	all := commands(t)
	for begins, test := range within {
		used := false
		for _, c := range all {
			used = used || strings.HasPrefix(c, begins)
		}
		if !used {
			t.Errorf("README.md has no command that begins with %q", begins)
		}
		folder, name := "test/readme", test
		if f, other, ok := strings.Cut(test, " "); ok {
			folder, name = f, other
		}
		if !hasTest(t, folder, name) {
			t.Errorf("%s has no test %s", folder, name)
		}
	}
	for _, c := range all {
		done := false
		for begins := range within {
			done = done || strings.HasPrefix(c, begins)
		}
		if !done {
			t.Errorf("README.md: no test does %s", c)
		}
	}
}

func TestTheGatewaysCommandsAnswer(t *testing.T) {
	g := serve(t)
	settings := []string{"PORT=" + g.public, "ADMIN_PORT=" + g.admin, "ADMIN_API_KEYS=" + pageKey}
	for _, c := range commands(t) {
		switch {
		case strings.HasPrefix(c, "gateway "):
			c = strings.Replace(g.ports.Replace(c), "//host:", "//localhost:", 1)
			out := shell(t, folder(t), "bin/"+c, settings...)
			if c == "gateway config" && (!strings.Contains(out, g.public) || strings.Contains(out, pageKey)) {
				t.Errorf("gateway config prints %s", out)
			}
		case strings.HasPrefix(c, "go build "):
			shell(t, root, strings.Replace(c, "bin/", t.TempDir()+"/", 1))
		case strings.HasPrefix(c, "go doc "):
			if out := shell(t, root, c); !strings.Contains(out, "package hub") {
				t.Errorf("%s prints %s", c, out)
			}
		}
	}
}

// TestTheReleaseIsMadeAsDescribed does not make one, which builds for every
// platform: it sees that the script is one, and takes those words.
func TestTheReleaseIsMadeAsDescribed(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "bash", "-n", root+"/.ci/release").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if info, err := os.Stat(root + "/.ci/release"); err != nil || info.Mode()&0o111 == 0 {
		t.Error(".ci/release cannot be executed")
	}
	if !strings.Contains(read(t, ".ci/release"), ".ci/release v1.2.3 DIR") {
		t.Error(".ci/release wants other words")
	}
}
