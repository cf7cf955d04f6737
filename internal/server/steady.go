package server

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// steady is a listener that outlives the system's shortages: without
// descriptors or memory no connection can be accepted, and there may be some
// in a moment. The HTTP server waits before it tries again, a second at most.
type steady struct {
	net.Listener
	log *zap.Logger

	said atomic.Int64 // when it was last logged, in Unix seconds
}

// sayEvery is how often a shortage is logged.
const sayEvery = 30 * time.Second

// Accept implements net.Listener.
func (l *steady) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	var system syscall.Errno
	if err == nil || errors.Is(err, net.ErrClosed) || !errors.As(err, &system) {
		return c, err
	}
	now := time.Now().Unix()
	if said := l.said.Load(); now-said >= int64(sayEvery/time.Second) && l.said.CompareAndSwap(said, now) {
		l.log.Warn("connections cannot be accepted now", zap.Error(err))
	}
	return nil, shortage{err}
}

// shortage is an error after which http.Server tries again.
type shortage struct{ error }

var _ net.Error = shortage{}

// Timeout implements net.Error.
func (shortage) Timeout() bool { return false }

// Temporary implements net.Error.
func (shortage) Temporary() bool { return true }

// Unwrap returns the system's error.
func (s shortage) Unwrap() error { return s.error }
