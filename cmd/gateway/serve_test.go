package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"

	"go.uber.org/fx"
)

func TestASignalIsNotTakenForTwo(t *testing.T) {
	signals, ended := make(chan os.Signal, 2), make(chan fx.ShutdownSignal, 1)
	ended <- fx.ShutdownSignal{Signal: syscall.SIGTERM} // fx heard it first
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		signals <- syscall.SIGTERM
	}()
	if s, code := end(signals, ended); s != syscall.SIGTERM || code != exitOK {
		t.Errorf("got %v, %d", s, code)
	}
	<-sent
	if len(signals) != 0 {
		t.Error("the signal counts as a second one")
	}
}

func TestAnApplicationThatEndsByItselfSaysItsCode(t *testing.T) {
	ended := make(chan fx.ShutdownSignal, 1)
	ended <- fx.ShutdownSignal{Signal: syscall.SIGTERM, ExitCode: 1}
	if s, code := end(nil, ended); s != nil || code != 1 {
		t.Errorf("got %v, %d", s, code)
	}
}

func TestHealthcheckIsOfTheGatewayAndNotOfItsFiles(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health/ready" {
			w.WriteHeader(status)
		}
	}))
	defer s.Close()
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"HOST=127.0.0.1", "PORT=" + port, "POLICY_FILE=/nowhere"}
	if code := healthcheck(env); code != exitOK {
		t.Errorf("exit code %d of a gateway whose policy file has gone", code)
	}
	proxied := []string{"PORT=1", "ADMIN_PORT=" + port, "PROXY_PROTOCOL=true", "TRUSTED_PROXIES=127.0.0.1"}
	if code := healthcheck(proxied); code != exitOK {
		t.Errorf("exit code %d of a gateway whose public port is for proxies", code)
	}
	status = http.StatusServiceUnavailable
	if code := healthcheck(env); code != exitFailed {
		t.Errorf("exit code %d of a gateway that is not ready", code)
	}
}
