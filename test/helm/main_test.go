package helm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	chart = "../../helm/ws-gateway"
	// release and namespace are of every rendering.
	release   = "r"
	namespace = "live"
	// buildTime bounds building the tools, minutes once on a small machine.
	buildTime = 9 * time.Minute
	// toolTime bounds one run of a tool.
	toolTime = time.Minute
)

// tools is the folder of helm and kubeconform.
var tools string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../../.ci/tools")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build helm and kubeconform: %v\n", err)
		return 1
	}
	tools = strings.TrimSpace(string(out))
	return m.Run()
}

// tool runs helm or kubeconform and returns what it wrote to both outputs
// apart. helm keeps its files in a folder of the test.
func tool(t *testing.T, stdin []byte, name string, args ...string) (out, said string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(tools, name), args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG=/nowhere")
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// render renders the chart, with its notes.
func render(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, said, err := tool(t, nil, "helm", append([]string{"template", release, chart, "--namespace", namespace}, args...)...)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, said)
	}
	return out, nil
}

// values are the files of values that the chart is tried with.
func values(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*-values.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("files of values: %v, %v", files, err)
	}
	all := map[string]string{}
	for _, file := range files {
		all[strings.TrimSuffix(filepath.Base(file), "-values.yaml")] = file
	}
	return all
}
