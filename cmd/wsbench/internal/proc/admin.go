//go:build linux

package proc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Admin reads the admin port of a Go server.
type Admin struct {
	metrics, gc string
	key         string
	client      http.Client
}

// NewAdmin takes the URL of the Prometheus metrics; pprof is expected beside
// them. key is presented as a bearer token unless empty.
func NewAdmin(metrics, key string) (*Admin, error) {
	u, err := url.Parse(metrics)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q is not a URL of metrics", metrics)
	}
	gc := *u
	gc.Path, gc.RawQuery = "/debug/pprof/heap", "gc=1"
	return &Admin{metrics: u.String(), gc: gc.String(), key: key, client: http.Client{Timeout: 20 * time.Second}}, nil
}

// Heap is what a server says about its own memory.
type Heap struct {
	Live       int64 // bytes of reachable objects, after a garbage collection if Forced
	Goroutines int64
	Forced     bool
}

// Heap has the server collect garbage, if it lets us, and reads its figures.
func (a *Admin) Heap(ctx context.Context) (Heap, error) {
	var h Heap
	if body, err := a.get(ctx, a.gc); err == nil {
		_, err = io.Copy(io.Discard, body)
		h.Forced = err == nil
		_ = body.Close()
	}
	m, err := a.read(ctx)
	if err != nil {
		return h, err
	}
	live, ok := m["go_memstats_heap_alloc_bytes"]
	if !ok {
		live = m["go_memstats_alloc_bytes"]
	}
	h.Live, h.Goroutines = int64(live), int64(m["go_goroutines"])
	return h, nil
}

// Load is the resident memory in bytes and the CPU time used so far.
func (a *Admin) Load(ctx context.Context) (rss int64, cpu time.Duration, err error) {
	m, err := a.read(ctx)
	if err != nil {
		return 0, 0, err
	}
	seconds, ok := m["process_cpu_seconds_total"]
	if !ok {
		return 0, 0, fmt.Errorf("GET %s: no process_cpu_seconds_total", a.metrics)
	}
	return int64(m["process_resident_memory_bytes"]), time.Duration(seconds * float64(time.Second)), nil
}

// read returns the metrics without labels.
func (a *Admin) read(ctx context.Context) (map[string]float64, error) {
	body, err := a.get(ctx, a.metrics)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	m := map[string]float64{}
	s := bufio.NewScanner(body)
	for s.Scan() {
		name, value, ok := strings.Cut(s.Text(), " ")
		if !ok || name == "#" || strings.Contains(name, "{") {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			m[name] = v
		}
	}
	return m, s.Err()
}

func (a *Admin) get(ctx context.Context, u string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	if a.key != "" {
		req.Header.Set("Authorization", "Bearer "+a.key)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", u, resp.Status)
	}
	return resp.Body, nil
}

// Close frees idle connections.
func (a *Admin) Close() { a.client.CloseIdleConnections() }
