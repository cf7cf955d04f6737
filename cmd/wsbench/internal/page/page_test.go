package page

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// example is a fan-out of ten seconds beside its baseline.
func example() *report.Result {
	r := report.New("fanout", map[string]any{"members": 1000, "rate": 100.0, "duration": "10s", "url": "ws://127.0.0.1:3007/ws", "baseline": "writev"})
	r.Started, r.Seconds = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), 36
	for n, target := range []string{"gateway", "writev"} {
		run := r.Run(target)
		run.Add("members", 1000, "")
		run.Add("deliveries/s", 1_234_567/float64(n+1), "")
		run.Add("server CPU", 61.2, "% of a core")
		run.Add("server CPU per message", 0.48, "µs")
		run.Add("RSS <settled> & more", 50<<20, "B")
		var h hdr.Histogram
		for i := range int64(10_000) {
			h.Record(int64(float64(400_000+i*90) * (1 + 9*math.Pow(float64(i)/10_000, 30)) / float64(n+1)))
		}
		run.AddLatency("latency", &h)
		for i, phase := range strings.Fields("connect connect connect warm-up measure measure measure measure measure measure measure measure measure measure measure finish") {
			p := report.Point{
				At: float64(18*n+i) + 1, Span: 1, Target: target, Phase: phase, Goal: 1000, Connections: min(int64(i+1)*400, 1000),
				ServerRSS: int64(20+i)<<20 + int64(n)<<19, ClientRSS: 31 << 20, ClientCPU: 30, ServerCPU: 5,
			}
			if i >= 3 {
				w := float64(i%4) * 20_000
				p.Messages, p.ServerCPU, p.ClientCPU = 1_200_000/float64(n+1)+w, 60+w/5000, 85
				l := time.Duration(600+10*i) * time.Microsecond
				p.Latency = &report.Percentiles{P50: l, P90: l * 2, P99: l * 4, Max: l * time.Duration(6+i%5)}
			}
			r.Series = append(r.Series, p)
		}
	}
	r.Ratio("deliveries/s", r.Runs[0], r.Runs[1])
	r.Check(true, "gateway: every message once and in order", "lost 0, duplicated 0, out of order 0")
	r.Check(true, "gateway: no disconnects", "0 ended")
	r.Note("gateway: the client was saturated (loops busy 99 %%, 98 %% of a core): the server may be able to do more; give it -threads or cores")
	return r
}

func written(t *testing.T, r *report.Result) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var scripts = regexp.MustCompile(`(?s)<script[^>]*>.*?</script>|<style>.*?</style>|<!DOCTYPE html>`)

// results are all shapes that a report may have.
func results() map[string]*report.Result {
	bare := report.New("idle", nil)
	failed := example()
	failed.Check(false, "nothing lost", "lost <b>3</b>")
	failed.Interrupted = true
	one := example()
	one.Series = one.Series[:1]
	long := example()
	long.Series = nil
	for i := range report.MaxPoints {
		long.Series = append(long.Series, report.Point{At: float64(i) * 30, Span: 30, Phase: "soak", Connections: 5, Goal: 5, ServerCPU: 1e300})
	}
	return map[string]*report.Result{"an example": example(), "nothing": bare, "failed": failed, "one point": one, "long": long}
}

func TestAReportIsWellFormed(t *testing.T) {
	for name, r := range results() {
		t.Run(name, func(t *testing.T) {
			page := written(t, r)
			d := xml.NewDecoder(strings.NewReader(scripts.ReplaceAllString(page, "")))
			for {
				_, err := d.Token()
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestAReportRefersToNothingOutsideIt(t *testing.T) {
	outside := regexp.MustCompile(`(?i)(src|href|action|poster|data|srcset|xlink:href)="[^"]*|url\([^)]*|@import[^;]*|\bfetch\(|XMLHttpRequest|https?://[^\s"<&]*|//[a-z]`)
	for name, r := range results() {
		r.Parameters = nil // holds the URL that was measured, as text
		for _, ref := range outside.FindAllString(written(t, r), -1) {
			if ref != `href="data:,` {
				t.Errorf("%s: %s", name, ref)
			}
		}
	}
}

func TestAReportShowsEverything(t *testing.T) {
	page := written(t, results()["failed"])
	for _, want := range []string{
		"wsbench fanout", "2026-03-01 12:00:00 UTC", "1 of 3 checks failed", "1,234,567", "50.00 MiB", "RSS &lt;settled&gt; &amp; more",
		"lost &lt;b&gt;3&lt;/b&gt;", "Connections", "Messages received per second", "Latency by percentile", "Resident memory", "CPU",
		"measure, writev", "the client was saturated", "-members", "2.00", "Interrupted", "prefers-color-scheme: dark", "@media print",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
	if n := strings.Count(page, "<svg "); n != 6 {
		t.Errorf("%d charts", n)
	}
	if regexp.MustCompile(`\bNaN\b|\bInf\b`).MatchString(page) {
		t.Error("a number that is none")
	}
}

func TestALongReportIsSmallEnoughToOpen(t *testing.T) {
	if n := len(written(t, results()["long"])); n > 1<<20 {
		t.Errorf("%d bytes", n)
	}
}

func TestPhasesCoverTheTimeAxis(t *testing.T) {
	at := 0.0
	for _, p := range phases(example().Series) {
		if math.Abs(p.Left-at) > 1e-9 || p.Width <= 0 {
			t.Errorf("%+v, want it at %v", p, at)
		}
		at = p.Left + p.Width
	}
	if math.Abs(at-100) > 1e-9 {
		t.Errorf("ends at %v", at)
	}
}

func FuzzAResultFromAFile(f *testing.F) {
	for _, r := range results() {
		var b strings.Builder
		if err := r.WriteJSON(&b); err != nil {
			f.Fatal(err)
		}
		if b.Len() < 100_000 {
			f.Add(b.String())
		}
	}
	f.Add(`{"scenario":"x","seconds":1e300,"runs":[{"target":"","figures":[{"value":-1e300,"unit":"B"}],"latencies":[{"histogram":{"sum":1,"max":5,"counts":"4479 18446744073709551615 0 1"}}]}],` +
		`"series":[{"at":-1,"span":-5,"connections":-7},{"at":1e308,"messages":1e308,"latency":{}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := report.Read(strings.NewReader(text))
		if err != nil {
			return
		}
		if err := Write(io.Discard, r); err != nil {
			t.Fatal(err)
		}
	})
}
