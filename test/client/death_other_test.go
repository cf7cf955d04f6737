//go:build !linux

package client

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }
