//go:build linux

package proc

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func TestFiguresOfThisProcess(t *testing.T) {
	pid := os.Getpid()
	before, err := CPU(pid)
	if err != nil {
		t.Fatal(err)
	}
	spent := time.Duration(0)
	for begin := time.Now(); spent < 50*time.Millisecond && time.Since(begin) < 20*time.Second; {
		after, _ := CPU(pid)
		spent = after - before
	}
	if spent < 50*time.Millisecond || spent > 20*time.Second {
		t.Errorf("CPU %v", spent)
	}
	if SelfCPU() <= 0 {
		t.Error("no CPU of our own")
	}
	if rss, err := RSS(pid); err != nil || rss < 1<<20 || rss > 4<<30 {
		t.Error(rss, err)
	}
	if n, err := Descriptors(); err != nil || n < 64 {
		t.Error(n, err)
	}
}

func TestAProcessThatIsNotThere(t *testing.T) {
	const pid = 1 << 30
	if _, err := CPU(pid); err == nil {
		t.Error("CPU")
	}
	if _, err := RSS(pid); err == nil {
		t.Error("RSS")
	}
	if Alive(pid) || !Alive(os.Getpid()) {
		t.Error("Alive")
	}
}

func TestAdminReadsAndForcesACollection(t *testing.T) {
	var asked []string
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		_, _ = w.Write([]byte("# HELP x\nx{a=\"b\"} 5\ngo_goroutines 7\ngo_memstats_heap_alloc_bytes 1.5e+06\n"))
	})
	mux.HandleFunc("/debug/pprof/heap", func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String()+" "+r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	for key, want := range map[string]bool{"": false, "k": true} {
		a, err := NewAdmin(srv.URL+"/metrics", key)
		if err != nil {
			t.Fatal(err)
		}
		h, err := a.Heap(t.Context())
		a.Close()
		if err != nil || h != (Heap{Live: 1_500_000, Goroutines: 7, Forced: want}) {
			t.Errorf("%+v %v", h, err)
		}
	}
	if all := strings.Join(asked, " "); !strings.Contains(all, "/debug/pprof/heap?gc=1 Bearer k /metrics") {
		t.Error(all)
	}
	if _, err := NewAdmin("metrics", ""); err == nil {
		t.Error("no URL was taken")
	}
}

func TestAChildEndsWhenAsked(t *testing.T) {
	c, line, err := Start("/bin/sh", "-c", "echo ready; read x; echo got $x; cat >/dev/null")
	if err != nil || line != "ready" {
		t.Fatal(line, err)
	}
	if err := c.Tell("word"); err != nil || c.Line() != "got word" || !Alive(c.PID()) {
		t.Error(err)
	}
	if err := c.Stop(); err != nil || Alive(c.PID()) {
		t.Error(err)
	}
	if _, _, err := Start("/bin/sh", "-c", "exit 3"); err == nil {
		t.Error("a child that ends at once was taken")
	}
}
