//go:build !linux

package testbed

import "syscall"

// Attributes are none: elsewhere a process may outlive the test's.
func Attributes() *syscall.SysProcAttr { return nil }
