package redisconn

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// eager keeps the library's pools trying. A pool that has failed to connect as
// often as it is large asks again once a second at most, in a goroutine that
// outlives it, and fails all commands meanwhile: service would be back long
// after Redis. So a dial that fails yields a connection that fails, which is
// not counted. Commands see the error of the dial either way.
type eager struct{}

// DialHook implements redis.Hook.
func (eager) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := next(ctx, network, addr)
		if err != nil {
			return failedConn{dialError(network, err)}, nil
		}
		return c, nil
	}
}

// ProcessHook implements redis.Hook.
func (eager) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (eager) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// dialError says of every way to get no connection, also that no Sentinel names
// a master, that it was the dial: no command was sent.
func dialError(network string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return err
	}
	return &net.OpError{Op: "dial", Net: network, Err: err}
}

// failedConn is a connection that was not made. Immutable.
type failedConn struct{ err error }

func (c failedConn) Read([]byte) (int, error)         { return 0, c.failure() }
func (c failedConn) Write([]byte) (int, error)        { return 0, c.failure() }
func (c failedConn) Close() error                     { return nil }
func (c failedConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c failedConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c failedConn) SetDeadline(time.Time) error      { return nil }
func (c failedConn) SetReadDeadline(time.Time) error  { return nil }
func (c failedConn) SetWriteDeadline(time.Time) error { return nil }

// failure is wrapped once: the library takes one layer off.
func (c failedConn) failure() error { return &unconnectedError{c.err} }

type unconnectedError struct{ err error }

func (e *unconnectedError) Error() string { return e.err.Error() }
func (e *unconnectedError) Unwrap() error { return e.err }
