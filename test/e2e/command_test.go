package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

func TestVersionSaysWhichProgramThisIs(t *testing.T) {
	got := command(t, nil, "version")
	if got.code != 0 || got.stdout != "gateway "+testVersion+"\n" || got.stderr != "" {
		t.Errorf("%+v", got)
	}
}

func TestAnUnknownCommandIsAnsweredWithTheUsage(t *testing.T) {
	for name, args := range map[string][]string{"a wrong word": {"sevre"}, "too many words": {"config", "now"}} {
		t.Run(name, func(t *testing.T) {
			got := command(t, nil, args...)
			if got.code != 2 || !strings.HasPrefix(got.stderr, "usage: gateway") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestConfigPrintsTheEffectiveSettingsAndNoSecret(t *testing.T) {
	const secret = "correct-horse-battery-staple-0123456789"
	got := command(t, []string{"PORT=4321", "ADMIN_API_KEYS=" + secret}, "config")
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	for _, line := range []string{"PORT=4321   # not the default", "ADMIN_PORT=9007", "ADMIN_API_KEYS=(secret)   # not the default"} {
		if !strings.Contains("\n"+got.stdout, "\n"+line+"\n") {
			t.Errorf("no line %q in:\n%s", line, got.stdout)
		}
	}
	if strings.Contains(got.stdout+got.stderr, secret) {
		t.Error("the secret is printed")
	}
}

func TestHealthcheckTellsWhetherAGatewayIsReady(t *testing.T) {
	p := freePorts(t)
	if got := command(t, p.env(), "healthcheck"); got.code != 1 || got.stderr == "" {
		t.Errorf("with nobody there: %+v", got)
	}
	g := serve(t, p)
	if got := command(t, p.env(), "healthcheck"); got.code != 0 || got.stderr != "" {
		t.Errorf("with a gateway: %+v", got)
	}
	g.term()
	if code := g.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := command(t, p.env(), "healthcheck"); got.code != 1 {
		t.Errorf("after its end: %+v", got)
	}
}

// TestBadSettingsAreAllSaidBeforeAPortIsOpened holds both ports itself: a
// gateway that opened one before it looked at its settings would fail at that.
func TestBadSettingsAreAllSaidBeforeAPortIsOpened(t *testing.T) {
	p := freePorts(t)
	for _, port := range []int{p.public, p.admin} {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
	}
	if got := command(t, p.env()); got.code != 1 || !strings.Contains(got.stderr, "address already in use") {
		t.Fatalf("with good settings the held ports must be the fault: %+v", got)
	}
	got := command(t, p.env(
		"SECURITY_LEVEL=lax", "HEARTBEAT_INTERVAL=soon", "MAX_MESSAGE_BYTES=many", "TLS_CERT_FILE=cert.pem",
		"REDIS_PASSWORD=do-not-print-me", "AUTH_JWT_SECRET=do-not-print-me", "POLICY_FILE=/nonexistent/policy.yaml",
	))
	if got.code != 2 || got.stdout != "" {
		t.Errorf("exit code %d, stdout %q", got.code, got.stdout)
	}
	for _, name := range []string{
		"SECURITY_LEVEL", "HEARTBEAT_INTERVAL", "MAX_MESSAGE_BYTES", "TLS_CERT_FILE", "REDIS_PASSWORD", "AUTH_JWT_SECRET",
	} {
		if n := strings.Count(got.stderr, "\n  "+name); n != 1 {
			t.Errorf("%s has %d lines of its own", name, n)
		}
	}
	if strings.Contains(got.stderr, "do-not-print-me") {
		t.Error("a secret is printed")
	}
	if strings.Contains(got.stderr, "address already in use") {
		t.Error("a port was opened")
	}
	if t.Failed() {
		t.Logf("it said:\n%s", got.stderr)
	}
}
