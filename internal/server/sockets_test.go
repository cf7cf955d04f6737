package server

import (
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestAConnectionTooManyIsClosedBeforeItIsRead(t *testing.T) {
	s := NewSockets(func(open int64) bool { return open <= 1 })
	mine, theirs := net.Pipe()
	s.changed(mine, http.StateNew)
	s.changed(mine, http.StateActive)
	over, end := net.Pipe()
	s.changed(over, http.StateNew)
	if _, err := end.Read(make([]byte, 1)); err == nil {
		t.Error("the one too many is open")
	}
	s.changed(over, http.StateClosed)
	if got := s.Stats(); got != (SocketStats{Open: 1, Refused: 1}) {
		t.Errorf("%+v", got)
	}
	s.changed(mine, http.StateHijacked) // a WebSocket now
	if got := s.Stats(); got != (SocketStats{Refused: 1}) {
		t.Errorf("%+v", got)
	}
	_, _ = mine.Close(), theirs.Close()
}

// failing is a listener of errors.
type failing struct {
	net.Listener
	errs []error
}

func (f *failing) Accept() (net.Conn, error) {
	err := f.errs[0]
	f.errs = f.errs[1:]
	return nil, err
}

func TestAListenerOutlivesShortages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := func(e syscall.Errno) error {
			return &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", e)}
		}
		core, logs := observer.New(zap.WarnLevel)
		broken := errors.New("broken")
		l := &steady{log: zap.New(core), Listener: &failing{errs: []error{
			system(syscall.EMFILE), system(syscall.ENOBUFS), system(syscall.EPROTO), system(syscall.ENOMEM), net.ErrClosed, broken,
		}}}
		for range 4 {
			_, err := l.Accept()
			var again net.Error
			if !errors.As(err, &again) || !again.Temporary() || again.Timeout() { //nolint:staticcheck // what http.Server asks
				t.Errorf("%v ends the server", err)
			}
			var system syscall.Errno
			if !errors.As(err, &system) {
				t.Errorf("%v hides its cause", err)
			}
			time.Sleep(sayEvery / 3)
		}
		if n := logs.Len(); n != 2 {
			t.Errorf("said %d times in %v", n, sayEvery)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, broken) {
			t.Errorf("broken: %v", err)
		}
	})
}

func TestPagesOfOtherSitesOnlyRead(t *testing.T) {
	h := siteGuard(text("ok"))
	for _, c := range []struct {
		name, method string
		header       http.Header
		status       int
	}{
		{"a tool", "POST", http.Header{}, 200},
		{"the own page", "POST", http.Header{"Origin": {"http://localhost:9007"}}, 200},
		{"a foreign page", "POST", http.Header{"Origin": {"https://evil.example"}}, 403},
		{"a foreign page, by the browser's word", "DELETE", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"a foreign page that reads", "GET", http.Header{"Origin": {"https://evil.example"}}, 200},
	} {
		w := &recorder{header: http.Header{}, status: 200}
		h.ServeHTTP(w, &http.Request{Method: c.method, Host: "localhost:9007", Header: c.header})
		if w.status != c.status {
			t.Errorf("%s: %d", c.name, w.status)
		}
	}
}
