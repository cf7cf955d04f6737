//go:build linux

package live

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// Lines writes one line for each state. It belongs to one goroutine.
type Lines struct{ w io.Writer }

// Show writes a line.
func (l *Lines) Show(s report.Status) {
	parts := []string{
		fmt.Sprintf("%s %s", s.Phase, s.Elapsed.Round(time.Second)),
		fmt.Sprintf("up %d/%d", s.Connections, s.Goal),
	}
	if s.Failed > 0 {
		parts = append(parts, fmt.Sprintf("lost connections %d", s.Failed))
	}
	if s.Messages > 0 {
		parts = append(parts, rate(s.Messages)+" msg/s")
	}
	if s.Latency != nil {
		parts = append(parts, "p99 "+report.Short(s.Latency.P99))
	}
	if s.ServerRSS > 0 {
		parts = append(parts, "server "+usage(s.ServerRSS, s.ServerCPU))
	}
	parts = append(parts, "client "+usage(s.ClientRSS, s.ClientCPU))
	_, _ = fmt.Fprintln(l.w, strings.Join(parts, "  "))
}

// Done has nothing to end.
func (*Lines) Done() {}

func rate(perSecond float64) string {
	if perSecond >= 10 {
		perSecond = float64(int64(perSecond + 0.5))
	}
	return report.Format(perSecond, "")
}

func usage(rss int64, percent float64) string {
	return fmt.Sprintf("%s %.0f %%", report.Format(float64(rss), "B"), percent)
}
