package balancer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// program is the path of the built gateway. Set by TestMain.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gateway-balancer")
	if err != nil {
		return say(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "gateway")
	args := []string{"build", "-o", program}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race") // a race in the program then stands in its log
	}
	if out, err := exec.Command("go", append(args, "../../../cmd/gateway")...).CombinedOutput(); err != nil {
		return say(fmt.Errorf("build the gateway: %w\n%s", err, out))
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			return say(err)
		}
	}
	return code
}

func say(err error) int {
	fmt.Fprintln(os.Stderr, "balancer:", err)
	return 1
}
