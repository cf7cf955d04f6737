package roomlog

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

// hundred is the data of a publication of a hundred bytes.
var hundred = []byte(`"` + strings.Repeat("x", 98) + `"`)

// BenchmarkPublish publishes from thousands of goroutines, with history on, and
// compares with redis-benchmark -c 50 -P 64 running the same script just
// before: the ratio is what the issue asks for.
func BenchmarkPublish(b *testing.B) {
	for _, c := range []struct {
		name  string
		rooms int
		keyed bool
	}{{"1 room", 1, false}, {"1000 rooms", 1000, false}, {"1 room with keys", 1, true}} {
		b.Run(c.name, func(b *testing.B) {
			s := redistest.Single(b)
			r := start(b, s.Config(), Config{})
			reference := redisBenchmark(b, r, s.Port(), c.keyed)
			p := r.draft(room, kept)
			p.Data = hundred
			names := make([]string, c.rooms)
			for i := range names {
				names[i] = fmt.Sprint("room-", i)
			}
			var next atomic.Uint64
			b.SetParallelism(2000)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				p := p
				for pb.Next() {
					n := next.Add(1)
					p.Room = names[n%uint64(len(names))]
					if c.keyed {
						p.IdempotencyKey = strconv.FormatUint(n, 10)
					}
					if _, _, err := r.log.Publish(context.Background(), p); err != nil {
						b.Error(err)
					}
				}
			})
			rate := float64(b.N) / b.Elapsed().Seconds()
			st := r.log.Stats()
			b.ReportMetric(rate, "publishes/s")
			b.ReportMetric(reference, "reference/s")
			b.ReportMetric(rate/reference, "ratio")
			b.ReportMetric(float64(st.Commands)/float64(st.Batches), "per-pipeline")
		})
	}
}

// redisBenchmark runs redis-benchmark with the script of a publish and returns
// how many it executes per second: to one room, for it can put random digits in
// place of a marker, but not the same ones twice. Each publish has a nonce of
// its own, and a key if it has one.
func redisBenchmark(b *testing.B, r *rig, port int, keyed bool) float64 {
	b.Helper()
	if err := r.redis.Client().ScriptLoad(b.Context(), r.log.scripts.publish.source).Err(); err != nil {
		b.Fatal(err)
	}
	const marker = "__rand_int__" // twelve digits
	p := r.draft(room, kept)
	p.Data, p.Position.Nonce = hundred, 1<<47
	if keyed {
		p.IdempotencyKey = "key"
	}
	d, err := newDraft(&p)
	if err != nil {
		b.Fatal(err)
	}
	args := []string{"-p", strconv.Itoa(port), "-c", "50", "-P", "64", "-n", "300000", "-r", "100000000000", "-q"}
	for i, word := range r.log.publishArgs(&d, 0) {
		text := fmt.Sprint(word)
		if blob, ok := word.([]byte); ok { // an argument has no zero bytes
			text = string(bytes.ReplaceAll(blob, []byte{0}, []byte{' '}))
		}
		switch {
		case text == strconv.Itoa(1<<47):
			text = "1" + marker
		case keyed && i == 5:
			text += marker
		}
		args = append(args, text)
	}
	out, err := exec.CommandContext(b.Context(), "redis-benchmark", args...).CombinedOutput()
	if err != nil {
		b.Fatalf("redis-benchmark: %v\n%s", err, out)
	}
	found := regexp.MustCompile(`([0-9.]+) requests per second`).FindAllSubmatch(out, -1)
	if len(found) == 0 {
		b.Fatalf("redis-benchmark said:\n%s", out)
	}
	rate, err := strconv.ParseFloat(string(found[len(found)-1][1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return rate
}
