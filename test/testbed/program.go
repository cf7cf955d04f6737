package testbed

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"runtime/debug"
	"slices"
	"sync"
)

// Build builds the gateway into a file, with the race detector if the test has
// it: a race in the gateway then stands in its log.
func Build(ctx context.Context, path string) (string, error) {
	args := []string{"build", "-o", path}
	if raceOn() {
		args = append(args, "-race")
	}
	args = append(args, "github.com/moonx-farm/ws-gateway/cmd/gateway")
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the gateway: %w\n%s", err, out)
	}
	return path, nil
}

// raceOn tells whether the test itself was built with -race.
func raceOn() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// Output is what a process writes. The zero value is ready. Safe for concurrent use.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String is all that was written.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
