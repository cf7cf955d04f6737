//go:build linux

package proc

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Herd is a set of processes that end with this one, whatever ends it: the
// kernel kills them when the thread that started them is gone, and that thread
// lives as long as the herd. Its methods may be called by anyone.
type Herd struct {
	starts chan func() // run by the thread; never closed
	close  chan struct{}
	done   chan struct{}

	mu      sync.Mutex
	members []*Member // Guarded by mu.
}

// Member is a process of a herd.
type Member struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of its end; readable once done is closed
}

// NewHerd returns an empty herd. The caller must Stop it.
func NewHerd() *Herd {
	h := &Herd{starts: make(chan func()), close: make(chan struct{}), done: make(chan struct{})}
	go h.run() // ends with Stop, which waits for it
	return h
}

func (h *Herd) run() {
	defer close(h.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		select {
		case f := <-h.starts:
			f()
		case <-h.close:
			return
		}
	}
}

// Start starts a command as a member. Signals from the terminal do not reach
// it.
func (h *Herd) Start(cmd *exec.Cmd) (*Member, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	select {
	case h.starts <- func() { started <- cmd.Start() }:
	case <-h.close:
		return nil, errors.New("start a process: the herd has ended")
	}
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	m := &Member{cmd: cmd, done: make(chan struct{})}
	go func() { // ends with the process, which Stop ends and waits for
		defer close(m.done)
		m.err = cmd.Wait()
	}()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members = append(h.members, m)
	return m, nil
}

// Stop asks all members to end, the last first, kills those that have not ended
// in time, and waits for them. The herd takes no more.
func (h *Herd) Stop(within time.Duration) {
	h.mu.Lock()
	members := h.members
	h.members = nil
	h.mu.Unlock()
	deadline := time.Now().Add(within)
	for i := len(members) - 1; i >= 0; i-- {
		members[i].Signal(syscall.SIGTERM)
	}
	for _, m := range members {
		if !m.Wait(time.Until(deadline)) {
			m.Signal(syscall.SIGKILL)
			<-m.done
		}
	}
	select {
	case <-h.close: // stopped before
	default:
		close(h.close)
	}
	<-h.done
}

// PID is the member's process id.
func (m *Member) PID() int { return m.cmd.Process.Pid }

// Signal sends a signal; nothing happens if the member has ended.
func (m *Member) Signal(s syscall.Signal) { _ = m.cmd.Process.Signal(s) }

// Done is closed when the member has ended.
func (m *Member) Done() <-chan struct{} { return m.done }

// Err tells how the member ended; nil before and if it ended well.
func (m *Member) Err() error {
	select {
	case <-m.done:
		return m.err
	default:
		return nil
	}
}

// Wait waits for the member's end and reports whether it has come.
func (m *Member) Wait(within time.Duration) bool {
	t := time.NewTimer(max(within, 0))
	defer t.Stop()
	select {
	case <-m.done:
		return true
	case <-t.C:
		return false
	}
}
