package documents

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/test/npm"
)

// The documents, from the root of the module.
const (
	asyncAPI = "internal/asyncapi/asyncapi.json"
	openAPI  = "internal/httpapi/openapi.json"
)

// checkTime bounds one run of the script.
const checkTime = 2 * time.Minute

// Frame is a message that went over a connection of gateway.v1.
type Frame struct {
	// Message is its key in the AsyncAPI document, such as "room_joined".
	Message string `json:"message"`
	// Payload is the message itself.
	Payload json.RawMessage `json:"payload"`
}

// CheckFrames fails for every frame that the AsyncAPI document does not
// describe, down to fields that it does not know.
func CheckFrames(t *testing.T, frames []Frame) {
	t.Helper()
	run(t, "frames", asyncAPI, frames)
}

// root is the folder of the module.
func root(t *testing.T) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("the test's own file is unknown")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// run runs a check of the script, which says what is wrong and fails then. What
// it checks is read here: go test would else not know that it has changed.
func run(t *testing.T, check, document string, frames []Frame) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), document))
	if err != nil {
		t.Fatal(err)
	}
	input, err := json.Marshal(struct {
		Document json.RawMessage `json:"document"`
		Frames   []Frame         `json:"frames"`
	}{text, frames})
	if err != nil {
		t.Fatal(err)
	}
	scripts := filepath.Join(root(t), "test/documents/testdata/node")
	script, err := os.ReadFile(filepath.Join(scripts, "check.cjs"))
	if err != nil {
		t.Fatal(err)
	}
	packages := npm.Packages(t, "documents", scripts)
	ctx, cancel := context.WithTimeout(t.Context(), checkTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--eval", string(script), check)
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(packages, "node_modules"))
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v (the tests need the packages nodejs and npm)\n%s", document, err, out)
		return
	}
	t.Logf("%s: %s", document, bytes.TrimSpace(out))
}
