package testbed

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// FreePort is one below those that the system gives to clients, so that it is
// still free when a program starts again.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 22_000 + rand.IntN(8_000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("there is no free port")
	return 0
}

// LeftIn tells of files that are still in a folder.
func LeftIn(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("the tests have left %v in %s", entries, dir)
	}
	return err
}

// Processes remembers those that must not outlive the tests. The zero value is
// ready. Safe for concurrent use.
type Processes struct {
	mu   sync.Mutex
	pids []int // guarded by mu
}

// Add remembers one.
func (p *Processes) Add(pid int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pids = append(p.pids, pid)
}

// Left tells of processes that still run.
func (p *Processes) Left() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	alive := slices.DeleteFunc(slices.Clone(p.pids), func(pid int) bool { return syscall.Kill(pid, 0) != nil })
	if len(alive) > 0 {
		return fmt.Errorf("the tests have left processes running: %v", alive)
	}
	return nil
}
