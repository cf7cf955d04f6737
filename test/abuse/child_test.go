package abuse

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/config"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/modules"
)

// childVar makes the test program a gateway; it holds its settings, one a line.
const childVar = "GATEWAY_ABUSE_CHILD"

// serveAsChild runs a gateway until its standard input ends, and returns the
// exit code.
func serveAsChild(environ string) int {
	cfg, err := config.Load(strings.Split(environ, "\n"), "test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	var servers *server.Servers
	run := fx.New(modules.App(cfg, zap.NewNop(), nil), fx.Populate(&servers))
	if err := run.Start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(servers.PublicAddr(), servers.AdminAddr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := run.Stop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child runs a gateway in a process of its own, whose limits a test may
// change, until the test ends. The app has addresses alone.
func child(t *testing.T, environ ...string) (a *app, pid int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	environ = append([]string{
		"HOST=127.0.0.1", "PORT=0", "ADMIN_PORT=0", "DRAIN_WINDOW=0s", "ADMIN_API_KEYS=" + adminKey,
	}, environ...)
	cmd.Env = append(os.Environ(), childVar+"="+strings.Join(environ, "\n"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the gateway's process: %v", err)
		}
	})
	a = &app{}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the gateway's process says nothing: %v", err)
	}
	if _, err := fmt.Sscan(line, &a.addr, &a.admin); err != nil {
		t.Fatal(err)
	}
	return a, cmd.Process.Pid
}
