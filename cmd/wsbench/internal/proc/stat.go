//go:build linux

package proc

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of CPU times in /proc/PID/stat: USER_HZ is 100 on every
// Linux that Go supports.
const tick = 10 * time.Millisecond

// CPU is the CPU time a process has used, user and system. With the scheduler's
// figures (/proc/PID/schedstat of each thread) it is exact to nanoseconds;
// without them to 10 ms.
func CPU(pid int) (time.Duration, error) {
	if d, ok := schedstat(pid); ok {
		return d, nil
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("cpu of process %d: %w", pid, err)
	}
	// The name in parentheses may hold anything; fields count from behind it.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("cpu of process %d: short stat line", pid)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("cpu of process %d: malformed stat line", pid)
	}
	return time.Duration(user+system) * tick, nil
}

// schedstat sums the run time of all living threads; Go ends threads rarely.
func schedstat(pid int) (time.Duration, bool) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, false
	}
	var sum time.Duration
	for _, t := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, t.Name()))
		if err != nil {
			return 0, false
		}
		first, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, false
		}
		sum += time.Duration(ns)
	}
	return sum, true
}

// SelfCPU is the CPU time of this process.
func SelfCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// RSS is the resident memory of a process in bytes, from smaps_rollup (exact)
// or else from status.
func RSS(pid int) (int64, error) {
	for _, src := range [][2]string{{"smaps_rollup", "Rss:"}, {"status", "VmRSS:"}} {
		if n, err := kilobytes(fmt.Sprintf("/proc/%d/%s", pid, src[0]), src[1]); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("memory of process %d cannot be read", pid)
}

// Proportional is the resident memory of a process in bytes where what n
// processes share, such as the program itself, counts as an n-th.
func Proportional(pid int) (int64, error) {
	n, err := kilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:")
	if err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	return n, nil
}

// Resident is RSS at hardly any cost: it may be off by some pages, but does not
// hold the process up, which smaps_rollup does while it walks the page tables.
func Resident(pid int) (int64, error) {
	n, err := kilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
	if err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	return n, nil
}

func kilobytes(path, field string) (int64, error) {
	f, err := os.Open(path) //nolint:gosec // a path in /proc
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), field); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("%s: no %s", path, field)
}

// Alive reports whether a process runs; one that has ended but was not yet
// waited for does not.
func Alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	rest := bytes.TrimSpace(b[bytes.LastIndexByte(b, ')')+1:])
	return len(rest) > 0 && rest[0] != 'Z' && rest[0] != 'X'
}

// Descriptors raises the soft limit of open files to the hard one and returns
// how many this process may have.
func Descriptors() (int, error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, fmt.Errorf("descriptor limit: %w", err)
	}
	if lim.Cur < lim.Max {
		raised := unix.Rlimit{Cur: lim.Max, Max: lim.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			lim.Cur = lim.Max
		}
	}
	return int(min(lim.Cur, 1<<30)), nil
}
