//go:build linux

package million

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// kernelMemory is what the kernel holds for all sockets and processes.
type kernelMemory struct {
	slab    int64 // bytes of its objects, sockets among them
	buffers int64 // bytes of TCP's buffers
	tables  int64 // bytes of page tables and kernel stacks
}

func (k kernelMemory) minus(o kernelMemory) kernelMemory {
	return kernelMemory{k.slab - o.slab, k.buffers - o.buffers, k.tables - o.tables}
}

// readKernel reads /proc/meminfo and /proc/net/sockstat.
func readKernel() (k kernelMemory, err error) {
	info, err := meminfo()
	if err != nil {
		return k, err
	}
	k.slab, k.tables = info["Slab"], info["PageTables"]+info["KernelStack"]
	b, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return k, fmt.Errorf("memory of sockets: %w", err)
	}
	k.buffers = tcpPages(b) * int64(os.Getpagesize())
	return k, nil
}

// tcpPages finds the pages of TCP's buffers in /proc/net/sockstat.
func tcpPages(b []byte) int64 {
	for line := range bytes.Lines(b) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 || fields[0] != "TCP:" {
			continue
		}
		for i := 1; i+1 < len(fields); i += 2 {
			if fields[i] == "mem" {
				n, _ := strconv.ParseInt(fields[i+1], 10, 64)
				return n
			}
		}
	}
	return 0
}

// meminfo reads /proc/meminfo, in bytes.
func meminfo() (map[string]int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return nil, fmt.Errorf("memory of the machine: %w", err)
	}
	defer func() { _ = f.Close() }()
	m := map[string]int64{}
	s := bufio.NewScanner(f)
	for s.Scan() {
		fields := strings.Fields(s.Text())
		if len(fields) < 2 {
			continue
		}
		if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
			m[strings.TrimSuffix(fields[0], ":")] = n << 10
		}
	}
	return m, s.Err()
}

// freeMemory is what programs may still take: of the machine, and of this
// container.
func freeMemory() (int64, error) {
	m, err := meminfo()
	if err != nil {
		return 0, err
	}
	free := m["MemAvailable"]
	limit, errLimit := number("/sys/fs/cgroup/memory.max")
	used, errUsed := number("/sys/fs/cgroup/memory.current")
	if errLimit == nil && errUsed == nil {
		free = min(free, limit-used)
	}
	return free, nil
}

func number(path string) (int64, error) {
	b, err := os.ReadFile(path) //nolint:gosec // a path of the kernel's
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64) // "max" is none
}
