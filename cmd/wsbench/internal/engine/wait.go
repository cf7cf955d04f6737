//go:build linux

package engine

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poll asks for events without waiting; -1 on a fault, which block will report.
// A raw system call: it returns at once, so the scheduler need not be told.
func (l *Loop) poll() int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epfd),
		uintptr(unsafe.Pointer(&l.events[0])), maxEvents, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// block waits up to timeout nanoseconds: exactly with epoll_pwait2 (Linux
// 5.11), else rounded up to milliseconds.
func (l *Loop) block(timeout int64) (int, error) {
	if !l.noPwait2 {
		ts := unix.NsecToTimespec(timeout)
		n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.epfd),
			uintptr(unsafe.Pointer(&l.events[0])), maxEvents, uintptr(unsafe.Pointer(&ts)), 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if !errors.Is(errno, unix.ENOSYS) {
			return 0, errno
		}
		l.noPwait2 = true
	}
	ms := (timeout + int64(time.Millisecond) - 1) / int64(time.Millisecond)
	return unix.EpollWait(l.epfd, l.events[:], int(ms))
}

// read is a raw system call too: a non-blocking socket gives at once what it
// has.
func read(fd int32, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b))) //nolint:gosec // a descriptor
	return int(n), errno
}

func write(fd int32, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), //nolint:gosec // a descriptor
		unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}
