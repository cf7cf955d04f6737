//go:build !linux

package balancer

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }
