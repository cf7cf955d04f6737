package client

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/moonx-farm/ws-gateway/test/testbed"
	"go.uber.org/goleak"
)

// program waits until the gateway is built, and returns its path.
var program func() (string, error)

// spawned are the processes that tests have started.
var spawned processes

// atOnce is how many tests run at once: they wait more than they work.
const atOnce = "4"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gateway-client")
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
	program = sync.OnceValues(func() (string, error) { return testbed.Build(ctx, filepath.Join(dir, "gateway")) })
	flag.Parse()
	_ = flag.Set("test.parallel", atOnce) // go test has the flag
	code := m.Run()
	cancel()
	if code == 0 {
		if err := errors.Join(goleak.Find(), spawned.left(), leftIn(scratch)); err != nil {
			return say(err)
		}
	}
	return code
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
	fmt.Fprintln(os.Stderr, "client:", err)
	return 1
}
