package testbed

import "syscall"

// Attributes make a process end with the test's, however that ends.
func Attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
