//go:build linux

package proc

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAHerdEndsWithStop(t *testing.T) {
	h := NewHerd()
	polite, err := h.Start(exec.Command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	deaf := exec.Command("sh", "-c", `trap "" TERM; echo ready; while :; do sleep 0.05; done`)
	out, err := deaf.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stubborn, err := h.Start(deaf)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatal(line, err)
	}
	if stubborn.Err() != nil || stubborn.Wait(0) {
		t.Error("it has ended already")
	}
	h.Stop(100 * time.Millisecond)
	for _, m := range []*Member{polite, stubborn} {
		<-m.Done()
		if Alive(m.PID()) || m.Err() == nil {
			t.Errorf("process %d: %v", m.PID(), m.Err())
		}
	}
	if _, err := h.Start(exec.Command("true")); err == nil {
		t.Error("a herd that was stopped took one more")
	}
	h.Stop(0)
}

func TestACommandThatIsNotThereIsNoMember(t *testing.T) {
	h := NewHerd()
	defer h.Stop(0)
	if _, err := h.Start(exec.Command("/nowhere/at-all")); err == nil || !strings.Contains(err.Error(), "/nowhere/at-all") {
		t.Error(err)
	}
}

// herdEnv makes this test's program the one that keeps a herd.
const herdEnv = "WSBENCH_TEST_HERD"

func TestAHerdEndsWithTheProcessThatIsKilled(t *testing.T) {
	if os.Getenv(herdEnv) != "" {
		keepHerd()
	}
	owner := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	owner.Env = append(os.Environ(), herdEnv+"=1")
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, errPID := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || errPID != nil || !Alive(pid) {
		t.Error(line, err, errPID)
	}
	_ = owner.Process.Kill()
	_ = owner.Wait()
	for deadline := time.Now().Add(20 * time.Second); Alive(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d outlived who started it", pid)
		}
	}
}

// keepHerd starts a process, prints its id, and waits for its own end.
func keepHerd() {
	m, err := NewHerd().Start(exec.Command("sleep", "1000"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(m.PID())
	time.Sleep(time.Minute)
	os.Exit(1)
}
