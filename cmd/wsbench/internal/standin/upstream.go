package standin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// upstream is a service that routes of a gateway lead to. It answers an event
// with the event's own data, and counts.
type upstream struct {
	delay time.Duration
	calls atomic.Int64
}

// Upstream serves such a service, after a delay each, at an address (port 0: any)
// until stdin ends. It prints its address when it is ready, and at its end how
// many calls there were.
func Upstream(ctx context.Context, address string, delay time.Duration, stdin io.Reader, stdout io.Writer) error {
	u := &upstream{delay: delay}
	return serve(ctx, "upstream server", address, http.HandlerFunc(u.answer), stdin, stdout, func() string {
		return fmt.Sprintf("calls %d", u.calls.Load())
	})
}

func (u *upstream) answer(w http.ResponseWriter, r *http.Request) {
	u.calls.Add(1)
	var in struct {
		Data json.RawMessage `json:"data"`
	}
	if json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&in) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	time.Sleep(u.delay)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(in.Data)
}
