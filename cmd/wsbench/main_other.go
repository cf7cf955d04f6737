//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	_, _ = fmt.Fprintln(os.Stderr, "wsbench needs Linux: it stands on epoll and /proc")
	os.Exit(1)
}
