package examples

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/moonx-farm/ws-gateway/test/testbed"
)

// built waits until the gateway and the examples are built, and returns the
// folder that they are in.
var built func() (string, error)

// spawned are the processes that tests have started.
var spawned testbed.Processes

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
		if err := errors.Join(goleak.Find(), spawned.Left(), testbed.LeftIn(scratch)); err != nil {
			return say(err)
		}
	}
	return code
}

// build builds the programs into a folder, with the race detector if the test
// has it.
func build(ctx context.Context, dir string) error {
	return testbed.BuildAll(ctx, dir, "../../cmd/gateway", "./chat", "./ticker", "./orders", "./orders-redis")
}

func say(err error) int {
	fmt.Fprintln(os.Stderr, "examples:", err)
	return 1
}
