package standin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"
)

// Naive serves the naive server, and its metrics and heap profile on the same
// port, until stdin ends. It prints its address when it is ready.
func Naive(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("naive server: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", &Server{})
	mux.HandleFunc("/metrics", metrics)
	mux.Handle("/debug/pprof/heap", pprof.Handler("heap"))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }() // ended by srv.Close, waited for below
	if _, err := fmt.Fprintln(stdout, ln.Addr()); err == nil {
		_, _ = io.Copy(io.Discard, stdin)
	}
	_ = srv.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("naive server: %w", err)
	}
	return nil
}

func metrics(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	_, _ = fmt.Fprintf(w, "go_goroutines %d\ngo_memstats_heap_alloc_bytes %d\n", runtime.NumGoroutine(), m.HeapAlloc)
}
