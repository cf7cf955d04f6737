package console

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

// program waits until the gateway is built, and returns its path.
var program func() (string, error)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gateway-console")
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
	code := m.Run()
	cancel()
	if code == 0 {
		if err := errors.Join(goleak.Find(), testbed.LeftIn(scratch)); err != nil {
			return say(err)
		}
	}
	return code
}

func say(err error) int {
	fmt.Fprintln(os.Stderr, "console:", err)
	return 1
}
