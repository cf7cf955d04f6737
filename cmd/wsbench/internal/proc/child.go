//go:build linux

package proc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Child is a helper process. It is told to end by the end of its standard
// input, so that it ends even if we are killed.
type Child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

// Start runs a program that prints one line when it is ready, and returns that
// line.
func Start(path string, args ...string) (*Child, string, error) {
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // our own executable; Stop ends it
	cmd.Stderr = os.Stderr
	// A signal from the terminal goes to the group: ours decides when it ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("start %s: %w", strings.Join(args, " "), err)
	}
	c := &Child{cmd: cmd, stdin: stdin, lines: bufio.NewScanner(stdout)}
	if !c.lines.Scan() {
		err := errors.Join(errors.New("the helper process ended before it was ready"), c.lines.Err(), c.Stop())
		return nil, "", err
	}
	return c, c.lines.Text(), nil
}

// PID is the child's process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Tell writes a line to the child.
func (c *Child) Tell(line string) error {
	_, err := io.WriteString(c.stdin, line+"\n")
	return err
}

// Line reads the child's next line, "" at its end.
func (c *Child) Line() string {
	if !c.lines.Scan() {
		return ""
	}
	return c.lines.Text()
}

// Stop ends the child, within three seconds, and waits for it.
func (c *Child) Stop() error {
	_ = c.stdin.Close()
	kill := time.AfterFunc(3*time.Second, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	err := c.cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil // its figures no longer matter
	}
	return err
}
