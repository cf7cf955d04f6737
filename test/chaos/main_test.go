package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// programs are the gateways that tests run, built when the first one asks.
var programs struct {
	dir          string
	sound        func() (string, error)
	mutant       func() (string, error) // obeys GATEWAY_MUTANT
	instrumented bool                   // with the race detector
}

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gateway-chaos")
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	programs.dir, programs.instrumented = dir, raceOn()
	programs.sound = sync.OnceValues(func() (string, error) { return build("gateway") })
	programs.mutant = sync.OnceValues(func() (string, error) { return build("mutant", "-tags", "mutant") })
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			return 1
		}
	}
	return code
}

// build builds the gateway as the test itself was built: a race in it then
// stands in its log.
func build(name string, args ...string) (string, error) {
	path := filepath.Join(programs.dir, name)
	args = append([]string{"build", "-o", path}, args...)
	if programs.instrumented {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "../../cmd/gateway")...).CombinedOutput()
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

// long tells whether the long runs are wanted.
func long() bool { return os.Getenv("GATEWAY_LONG") == "1" }

// chaosTime is how long one run lasts.
func chaosTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("CHAOS_TIME")
	switch {
	case text == "" && long():
		return 10 * time.Minute
	case text == "":
		return 12 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("CHAOS_TIME %q: want a duration such as 10m", text)
	}
	return d
}

// seeds are those of the runs: CHAOS_SEED, or a random one.
func seeds(t *testing.T) []uint64 {
	t.Helper()
	text := os.Getenv("CHAOS_SEED")
	if text == "" {
		return []uint64{uint64(time.Now().UnixNano()) % 1_000_000}
	}
	var list []uint64
	for _, word := range strings.Split(text, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(word), 10, 64)
		if err != nil {
			t.Fatalf("CHAOS_SEED %q: want whole numbers with commas between", text)
		}
		list = append(list, n)
	}
	return list
}
