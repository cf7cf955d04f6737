package readme

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/policy"
)

// example is a block of code of the page.
type example struct {
	line     int
	language string // "" when it is only indented
	text     string
}

const root = "../.."

// examples are all blocks of the page.
func examples(t *testing.T) []example {
	t.Helper()
	all, _ := parts(t)
	return all
}

// parts are the page's blocks of code, and the text between them.
func parts(t *testing.T) (all []example, text string) {
	t.Helper()
	var fenced, indented *example
	before := ""
	for i, line := range strings.Split(read(t, "README.md"), "\n") {
		switch {
		case strings.HasPrefix(line, "```") && fenced == nil:
			fenced = &example{line: i + 1, language: line[3:]}
		case line == "```":
			all, fenced = append(all, *fenced), nil
		case fenced != nil:
			fenced.text += line + "\n"
		case strings.HasPrefix(line, "    ") && (indented != nil || before == ""):
			if indented == nil {
				indented = &example{line: i + 1}
			}
			indented.text += line[4:] + "\n"
		case indented != nil:
			all, indented = append(all, *indented), nil
		default:
			text += line + "\n"
		}
		before = line
	}
	return all, text
}

// find is the one block that begins with some words.
func find(t *testing.T, begins string) string {
	t.Helper()
	for _, e := range examples(t) {
		if strings.HasPrefix(e.text, begins) {
			return e.text
		}
	}
	t.Fatalf("no example of README.md begins with %q", begins)
	return ""
}

// known says of every example, by its beginning, which test does it: one of this
// package, or "folder Test…" of another.
var known = map[string]string{
	"go run ./cmd/gateway\n":                        "TestFromTheCloneToAMessageOfCurlInABrowser",
	"go run github.com/go-task/task/":               "TestTheTestCommandIsWhatCIRuns",
	"REDIS_HOST=localhost go run":                   "TestTwoInstancesActAsOne",
	"docker compose up":                             "TestTheCommandsOfDockerAreThoseThatItsOwnTestRuns",
	"const ws = new WebSocket(":                     "TestTheFirstClientsRunInABrowser",
	"<script type=\"module\">":                      "TestTheFirstClientsRunInABrowser",
	"ADMIN_API_KEYS=development-only-key":           "TestFromTheCloneToAMessageOfCurlInABrowser",
	"curl -sS http://localhost:9007/api/v1/publish": "TestFromTheCloneToAMessageOfCurlInABrowser",
	"import { io } from 'socket.io-client';":        "TestTheSocketIOClientRunsInNode",
	"socket.on('connect', () => {\n":                "TestTheSocketIOClientRunsInNode",
	"POST /api/v1/auth/verify":                      "TestAnAuthServiceAsDescribedIsEnough",
	"200 {\"user\":":                                "TestAnAuthServiceAsDescribedIsEnough",
	"POST /api/v1/auth/authorize":                   "TestAnAuthServiceAsDescribedIsEnough",
	"version: 1\nrooms:":                            "TestThePoliciesAreTaken",
	"routes:\n  - match: \"order:*\"            #":  "TestThePoliciesAreTaken",
	"routes:\n  - match: \"order:*\"\n    stream:":  "TestThePoliciesAreTaken",
	"POST /events HTTP/1.1":                         "TestRoutesAndWebhooksCallAsDescribed",
	"{\"instance\": \"gw-1\", \"dropped\"":          "TestRoutesAndWebhooksCallAsDescribed",
	"import hashlib, hmac, time":                    "internal/bridge TestTheReadmesReceiverVerifiesSignatures",
	"redis-cli -u \"$REDIS_URL\" XADD":              "test/fleet TestTheReadmesCommandsReachClientsOfEveryInstance",
	"redis-cli -u \"$REDIS_URL\" XGROUP":            "test/fleet TestTheReadmesRouteBringsClientsEventsToAWorker",
	"const { createClient } = require(\"redis\");":  "TestTheEmitterReachesClients",
	"docker build":                                  "TestTheCommandsOfDockerAreThoseThatItsOwnTestRuns",
	"for id in $(docker compose ps":                 "TestTheCommandsOfDockerAreThoseThatItsOwnTestRuns",
	"helm install gw":                               "TestTheChartIsRenderedAsDescribed",
	"replicaCount: 3":                               "TestTheChartIsRenderedAsDescribed",
	"{\"status\": \"degraded\"":                     "TestTheOperatorsCommandsAnswer",
	"curl -H \"Authorization: Bearer $KEY\"":        "TestTheOperatorsCommandsAnswer",
	"bin/wsbench idle":                              "TestTheLoadGeneratorRunsAsDescribed",
	"go run ./cmd/wsbench fanout":                   "TestTheLoadGeneratorRunsAsDescribed",
	"wsbench fanout -members 40000":                 "TestTheLoadGeneratorRunsAsDescribed",
	"task bench:million":                            "TestTheTasksAreThere",
	"cmd/gateway        the program":                "TestTheFoldersAreThere",
}

func TestEveryExampleOfThePageIsDoneByATest(t *testing.T) {
	all := examples(t)
	for begins, test := range known {
		n := 0
		for _, e := range all {
			if strings.HasPrefix(e.text, begins) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d examples begin with %q, which %s does", n, begins, test)
		}
		folder, name := "test/readme", test
		if f, other, ok := strings.Cut(test, " "); ok {
			folder, name = f, other
		}
		if !hasTest(t, folder, name) {
			t.Errorf("%s has no test %s", folder, name)
		}
	}
	for _, e := range all {
		done := false
		for begins := range known {
			done = done || strings.HasPrefix(e.text, begins)
		}
		if !done {
			t.Errorf("README.md line %d: no test does this example:\n%s", e.line, e.text)
		}
	}
}

// hasTest looks for a test whose name begins as a regular expression says.
func hasTest(t *testing.T, folder, name string) bool {
	t.Helper()
	wanted := regexp.MustCompile(`\nfunc ` + name)
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if wanted.Match(text) {
			return true
		}
	}
	return false
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheTestCommandIsWhatCIRuns(t *testing.T) {
	command := strings.TrimSpace(find(t, "go run github.com/go-task/task/"))
	if !strings.Contains(read(t, ".ci/run"), command) {
		t.Errorf(".ci/run does not run %s", command)
	}
}

func TestTheCommandsOfDockerAreThoseThatItsOwnTestRuns(t *testing.T) {
	script := read(t, ".ci/e2e-docker")
	for _, begins := range []string{"docker compose up", "docker build", "for id in $(docker compose ps"} {
		text := find(t, begins)
		if out, err := exec.CommandContext(t.Context(), "bash", "-n", "-c", text).CombinedOutput(); err != nil {
			t.Errorf("%v: %s\n%s", err, out, text)
		}
	}
	// Its options of Docker's are set apart there.
	for _, words := range []string{"build ${RIG", "--build-arg VERSION", "compose up --wait", "--no-recreate --scale gateway=", "ps -q gateway", "stop --time 60", "{{.State.Health.Status}}"} {
		if !strings.Contains(script, words) {
			t.Errorf(".ci/e2e-docker has no %s", words)
		}
	}
	if !strings.Contains(read(t, "Dockerfile"), "ARG VERSION") {
		t.Error("the Dockerfile takes no VERSION")
	}
}

func TestThePoliciesAreTaken(t *testing.T) {
	for _, begins := range []string{"version: 1\nrooms:", "routes:\n  - match: \"order:*\"            #", "routes:\n  - match: \"order:*\"\n    stream:"} {
		text := find(t, begins)
		if !strings.HasPrefix(text, "version:") {
			text = "version: 1\n" + text
		}
		if _, err := policy.Parse([]byte(text)); err != nil {
			t.Errorf("%v:\n%s", err, text)
		}
	}
}

func TestTheTasksAreThere(t *testing.T) {
	taskfile := read(t, "Taskfile.yml")
	// In code, not where the text speaks of a task.
	for _, m := range regexp.MustCompile("(?m)(?:`|^    )task ([a-z:0-9]+)").FindAllStringSubmatch(read(t, "README.md"), -1) {
		if !strings.Contains(taskfile, "\n  "+m[1]+":\n") {
			t.Errorf("README.md says task %s, and there is none", m[1])
		}
	}
}

func TestTheFoldersAreThere(t *testing.T) {
	for _, name := range regexp.MustCompile(`\b(?:(?:cmd|internal|test|helm)/[a-z/-]+|config(?:/deploy)?|modules)\b`).
		FindAllString(find(t, "cmd/gateway        the program"), -1) {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || !info.IsDir() {
			t.Errorf("there is no folder %s", name)
		}
	}
}

// TestTheTestsThatThePageNamesAreThere looks for those of commands within the
// text and the tables.
func TestTheTestsThatThePageNamesAreThere(t *testing.T) {
	found := 0
	for _, m := range regexp.MustCompile(`-run ([A-Za-z]+) (?:-v )?\./(test/[a-z/]+|internal/[a-z/]+)`).FindAllStringSubmatch(read(t, "README.md"), -1) {
		found++
		if !hasTest(t, m[2], "Test[A-Za-z]*"+m[1]) {
			t.Errorf("%s has no test like %s", m[2], m[1])
		}
	}
	if found == 0 {
		t.Error("none was found")
	}
}
