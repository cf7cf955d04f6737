package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
)

// program and fixture are the paths of the programs that TestMain builds: the
// gateway, and the server that the tests of the protocols talk to.
var program, fixture string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gateway-e2e")
	if err != nil {
		return say(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program, fixture = filepath.Join(dir, "gateway"), filepath.Join(dir, "fixture")
	args := []string{"build", "-o", dir, "-ldflags", "-X main.version=" + testVersion}
	if raceOn() {
		args = append(args, "-race") // a race in the program then shows in its exit code
	}
	build := exec.Command("go", append(args, "../../cmd/gateway", "./fixture")...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return say(fmt.Errorf("build the gateway and the fixture: %w", err))
	}
	return m.Run()
}

// testVersion is the version of the built program.
const testVersion = "0.0.0-e2e"

func say(err error) int {
	fmt.Fprintln(os.Stderr, "e2e:", err)
	return 1
}

// raceOn tells whether the test itself was built with -race.
func raceOn() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
