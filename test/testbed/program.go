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
	return path, BuildAll(ctx, path, "github.com/moonx-farm/ws-gateway/cmd/gateway")
}

// BuildAll builds programs into a folder that is there, or one into a file, as
// Build does.
func BuildAll(ctx context.Context, path string, packages ...string) error {
	args := []string{"build", "-o", path}
	if raceOn() {
		args = append(args, "-race")
	}
	out, err := exec.CommandContext(ctx, "go", append(args, packages...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build %v: %w\n%s", packages, err, out)
	}
	return nil
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
