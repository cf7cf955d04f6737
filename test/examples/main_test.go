package examples

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/moonx-farm/ws-gateway/test/testbed"
)

// built waits until the gateway and the examples are built, and returns the
// folder that they are in.
var built func() (string, error)

// spawned are the processes that tests have started.
var spawned processes

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gateway-examples")
	if err != nil {
		return say(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// What tests leave behind shows in a folder of their own.
	scratch := filepath.Join(dir, "tmp")
	if err := errors.Join(os.Mkdir(scratch, 0o700), os.Setenv("TMPDIR", scratch)); err != nil {
		return say(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	built = sync.OnceValues(func() (string, error) { return dir, build(ctx, dir) })
	code := m.Run()
	cancel()
	if code == 0 {
		if err := errors.Join(goleak.Find(), spawned.left(), leftIn(scratch)); err != nil {
			return say(err)
		}
	}
	return code
}

// build builds the programs into a folder, with the race detector if the test
// has it.
func build(ctx context.Context, dir string) error {
	if _, err := testbed.Build(ctx, filepath.Join(dir, "gateway")); err != nil {
		return err
	}
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	out, err := exec.CommandContext(ctx, "go", append(args, "./chat", "./ticker", "./orders", "./orders-redis")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the examples: %w\n%s", err, out)
	}
	return nil
}

// leftIn tells of files that are still in a folder.
func leftIn(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("the tests have left %v in %s", entries, dir)
	}
	return err
}

func say(err error) int {
	fmt.Fprintln(os.Stderr, "examples:", err)
	return 1
}
