package cluster

import (
	"strings"
	"sync"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestInstancesThatAskAtOnceShareOneSecret(t *testing.T) {
	server := redistest.Single(t)
	cfg := server.Config()
	cfg.Prefix = "secret:"
	const instances = 8
	var (
		wg  sync.WaitGroup
		got [instances]string
	)
	for n := range instances {
		m := redistest.Manager(t, cfg)
		wg.Go(func() {
			secret, err := NewSecret(m, "peer").Read(t.Context())
			if err != nil {
				t.Error(err)
			}
			got[n] = string(secret)
		})
	}
	wg.Wait()
	for _, secret := range got {
		if secret != got[0] || len(secret) < leastSecret {
			t.Fatal("not one secret, or a short one")
		}
	}
	m := redistest.Manager(t, cfg)
	if other, err := NewSecret(m, "other").Read(t.Context()); err != nil || string(other) == got[0] {
		t.Errorf("another name has the same secret, or none: %v", err)
	}
	server.Client().FlushAll(t.Context())
	if fresh, err := NewSecret(m, "peer").Read(t.Context()); err != nil || string(fresh) == got[0] {
		t.Errorf("a secret that was lost is not made anew: %v", err)
	}
}

func TestASecretThatIsTooShortIsRefusedAndNotTold(t *testing.T) {
	server := redistest.Single(t)
	m := redistest.Manager(t, server.Config())
	s := NewSecret(m, "peer")
	server.Client().Set(t.Context(), s.key, "hush", 0)
	if secret, err := s.Read(t.Context()); err == nil || secret != nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("got %q, %v", secret, err)
	}
	server.Kill()
	if _, err := s.Read(t.Context()); err == nil {
		t.Error("read without Redis")
	}
}

func TestAnInstanceIsFoundWithItsPeerAddressUntilItHasGone(t *testing.T) {
	server := redistest.Single(t)
	cfg := server.Config()
	cfg.Prefix = "find:"
	a, b := join(t, cfg, settings("a")), join(t, cfg, settings("b"))
	until(t, "a sees b", func() bool { return a.sees("a", "b") })
	if i, ok := a.Find(b.Incarnation()); !ok || i.ID != "b" || i.Peer != "" {
		t.Errorf("got %+v, %v", i, ok)
	}
	if _, ok := a.Find("nobody00"); ok {
		t.Error("found nobody")
	}
	server.Kill()
	until(t, "b's time is over", func() bool { return a.sees("a") })
	if _, ok := a.Find(b.Incarnation()); !ok {
		t.Error("lost with Redis")
	}
	b.crash()
	server.Restart()
	until(t, "b has gone", func() bool { _, ok := a.Find(b.Incarnation()); return !ok })
}

func TestAnInstanceTellsWhereItsPeersReachIt(t *testing.T) {
	r := alone(t, Load{})
	r.UsePeer(func() string { return "http://10.0.0.5:9007" })
	if got := r.Self().Peer; got != "http://10.0.0.5:9007" {
		t.Errorf("got %q", got)
	}
}
