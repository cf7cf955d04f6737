package fleet

import (
	"context"
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

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gateway-fleet")
	if err != nil {
		return say(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithCancel(context.Background())
	program = sync.OnceValues(func() (string, error) { return testbed.Build(ctx, filepath.Join(dir, "gateway")) })
	// Most tests do not need it: it is built while they run, and not to its end
	// when none does.
	var building sync.WaitGroup
	building.Go(func() { _, _ = program() })
	flag.Parse()
	_ = flag.Set("test.parallel", atOnce) // go test has the flag
	code := m.Run()
	cancel()
	building.Wait()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			return say(err)
		}
	}
	return code
}

// atOnce is how many tests run at once: they wait, for graces and Redis, more
// than they work.
const atOnce = "5"

func say(err error) int {
	fmt.Fprintln(os.Stderr, "fleet:", err)
	return 1
}
