package fleet

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/moonx-farm/ws-gateway/test/testbed"
)

// process is an instance in a process of its own.
type process struct {
	*gateway
	pid   int
	log   *testbed.Output
	kill  func() // as a crash does
	ended chan struct{}
}

// spawn starts an instance in a process of its own, and does not wait for it to
// be ready.
func (f *fleet) spawn(name string, environ ...string) *process {
	f.t.Helper()
	path, err := program()
	if err != nil {
		f.t.Fatal(err)
	}
	public, admin := testbed.FreePort(f.t), testbed.FreePort(f.t)
	cmd := exec.Command(path)
	cmd.Env = slices.Concat(defaults(name), f.environ, environ,
		[]string{fmt.Sprint("PORT=", public), fmt.Sprint("ADMIN_PORT=", admin), "GORACE=atexit_sleep_ms=0"})
	p := &process{log: &testbed.Output{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = p.log, p.log, testbed.Attributes()
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	go func() { // ends with the process, which the test's end kills and waits for
		defer close(p.ended)
		_ = cmd.Wait()
	}()
	p.kill = func() {
		_ = cmd.Process.Kill() // does nothing to one that has ended
		<-p.ended
	}
	p.gateway = &gateway{
		t: f.t, name: name, public: net.JoinHostPort("127.0.0.1", strconv.Itoa(public)), admin: net.JoinHostPort("127.0.0.1", strconv.Itoa(admin)),
		stop: func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			<-p.ended
		},
	}
	f.t.Cleanup(func() {
		p.kill()
		if text := p.log.String(); f.t.Failed() || strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
			f.t.Errorf("%s said:\n%s", name, text)
		}
	})
	f.all = append(f.all, p.gateway)
	return p
}

// forget takes an instance that has ended out of the fleet.
func (f *fleet) forget(g *gateway) {
	f.all = slices.DeleteFunc(f.all, func(other *gateway) bool { return other == g })
}
