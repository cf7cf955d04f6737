package chaos

import (
	"fmt"
	"strings"
	"time"
)

// What a gateway without clients has.
const (
	goroutines  = "go_goroutines"
	descriptors = "process_open_fds"
	memory      = "process_resident_memory_bytes"
	connections = "ws_gateway_connections"
	sessions    = "ws_gateway_sessions"
)

// quiet waits until no client is left and returns what each gateway has then.
func (r *run) quiet() []map[string]float64 {
	var all []map[string]float64
	until(r.t, "no client is left", func() bool {
		all = all[:0]
		for _, g := range r.gateways {
			m, err := g.metrics(r.t.Context(), goroutines, descriptors, memory, connections, sessions)
			if err != nil || m[connections]+m[sessions] > 0 {
				return false
			}
			all = append(all, m)
		}
		return true
	})
	return all
}

// leaves notes what gateways have kept of clients that are gone, compared with
// before. Pools of connections to Redis may have grown.
func (r *run) leaves(before []map[string]float64) {
	const pooled = 40
	var more []string
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(100 * time.Millisecond) {
		more = more[:0]
		for i, now := range r.quiet() {
			was := before[i]
			for name, most := range map[string]float64{
				goroutines:  was[goroutines] + pooled,
				descriptors: was[descriptors] + pooled,
				memory:      2*was[memory] + 64<<20,
			} {
				if now[name] > most {
					more = append(more, fmt.Sprintf("gateway %d: %s was %.0f and is %.0f", i, name, was[name], now[name]))
				}
			}
			r.t.Logf("gateway %d: goroutines %.0f then %.0f, descriptors %.0f then %.0f, memory %.0f then %.0f MiB", i,
				was[goroutines], now[goroutines], was[descriptors], now[descriptors], was[memory]/(1<<20), now[memory]/(1<<20))
		}
		if len(more) == 0 {
			return
		}
	}
	r.problem("not back to what it was: %s", strings.Join(more, "; "))
}
