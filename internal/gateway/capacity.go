package gateway

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// reservedDescriptors are for listeners, logs, epoll sets and connections
	// to other services.
	reservedDescriptors = 256
	// connectionMemory is what one connection may cost in user and kernel
	// memory, with its share of traffic.
	connectionMemory = 12 << 10
)

// Capacity is how many connections the process can hold, and what bounds it.
type Capacity struct {
	Connections int
	Reason      string
}

// CapacityOf clamps a wished number to what descriptors and memory allow.
// memory is 0 when it is not known.
func CapacityOf(wished int, descriptors uint64, memory int64) Capacity {
	c := Capacity{wished, "MAX_CONNECTIONS"}
	if fit := clampInt(descriptors) - reservedDescriptors; fit < c.Connections {
		c = Capacity{max(fit, 1), fmt.Sprintf("the limit of %d descriptors (ulimit -n)", descriptors)}
	}
	if fit := int(memory / connectionMemory); memory > 0 && fit < c.Connections {
		c = Capacity{max(fit, 1), fmt.Sprintf("%d MiB of memory", memory>>20)}
	}
	return c
}

func clampInt(n uint64) int {
	const most = 1 << 40 // RLIM_INFINITY and the like
	return int(min(n, most))
}

// Descriptors is how many files the process may open. Go has raised the soft
// limit to the hard one at the start.
func Descriptors() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the descriptor limit: %w", err)
	}
	return limit.Cur, nil
}
