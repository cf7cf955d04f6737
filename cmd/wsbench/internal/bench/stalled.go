//go:build linux

package bench

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// stalledP99 is the name of the figure that is compared.
const stalledP99 = "latency p99"

// stalledRun measures the same members again, beside more that read nothing:
// what they cost the others is the ratio of the latencies.
func stalledRun(ctx context.Context, o *Options, res *report.Result, calm *report.Run) error {
	run := res.Run(fmt.Sprintf("with %d stalled", o.Stalled))
	conns, err := stall(ctx, o)
	defer func() {
		for _, c := range conns {
			_ = c.CloseNow()
		}
	}()
	if err != nil {
		return err
	}
	if err := fanoutRun(ctx, &fanout{opts: o}, res, run); err != nil {
		return err
	}
	for _, r := range []*report.Run{calm, run} {
		for _, l := range r.Latencies {
			r.AddAs(report.Max, stalledP99, float64(l.P99)/float64(time.Millisecond), "ms")
		}
	}
	res.Ratio(stalledP99, run, calm)
	if o.Rate == 0 {
		res.Note("as fast as back-pressure allows, latency says how much is under way; -rate measures from intended times")
	}
	return nil
}

// stall joins the rooms and reads nothing.
func stall(ctx context.Context, o *Options) ([]*websocket.Conn, error) {
	var conns []*websocket.Conn
	ctx, cancel := context.WithTimeout(ctx, o.UpTimeout)
	defer cancel()
	urls := splitURLs(o.URL)
	for i := range o.Stalled {
		header := http.Header{"Authorization": {fmt.Sprintf("Bearer %sstalled-%d", o.Users, i)}}
		c, _, err := websocket.Dial(ctx, strings.TrimSpace(urls[i%len(urls)]), &websocket.DialOptions{HTTPHeader: header}) //nolint:bodyclose // the library's
		if err != nil {
			return conns, fmt.Errorf("connect a stalled member: %w", err)
		}
		conns = append(conns, c)
		room := fmt.Sprintf("%s%d", o.RoomPrefix, i%o.Rooms)
		if err := c.Write(ctx, websocket.MessageText, gwproto.AppendJoin(gwproto.Plain{}, nil, 1, room, nil)); err != nil {
			return conns, fmt.Errorf("join a stalled member: %w", err)
		}
	}
	return conns, nil
}
