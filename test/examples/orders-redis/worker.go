package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	stream = "orders" // as the policy calls it
	group  = "workers"
	// commands is what the gateway reads: REDIS_KEY_PREFIX, and COMMAND_STREAM
	// in braces.
	commands = "ws-gateway:stream:{commands}"

	block  = time.Second // of one read without entries
	pause  = 500 * time.Millisecond
	atOnce = 100 // orders under way
)

// worker takes orders from the stream and tells customers how they go on. An
// order is acknowledged when it is done: a worker that starts again begins those
// again that it had under way, and within IDEMPOTENCY_TTL customers see each
// step once, by its idempotency key.
type worker struct {
	redis *redis.Client
	name  string
	pace  time.Duration
}

// run works until ctx ends.
func (w *worker) run(ctx context.Context) {
	var orders sync.WaitGroup
	defer orders.Wait()
	places := make(chan struct{}, atOnce)
	w.again(ctx, "make the group", w.begin)
	for from := "0"; ctx.Err() == nil; {
		entries, err := w.read(ctx, from)
		if err != nil {
			w.rest(ctx, "read orders", err)
			continue
		}
		// First what this worker had taken when it ended, then what is new.
		switch {
		case from == ">":
		case len(entries) == 0:
			from = ">"
		default:
			from = entries[len(entries)-1].ID
		}
		for _, entry := range entries {
			select {
			case <-ctx.Done():
				return
			case places <- struct{}{}:
			}
			orders.Go(func() {
				defer func() { <-places }()
				w.serve(ctx, entry)
			})
		}
	}
}

// begin makes the group, unless it is there.
func (w *worker) begin(ctx context.Context) error {
	err := w.redis.XGroupCreateMkStream(ctx, stream, group, "0").Err()
	if err != nil && strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return nil
	}
	return err
}

// read waits for entries after from; ">" is those that no worker has taken.
func (w *worker) read(ctx context.Context, from string) ([]redis.XMessage, error) {
	streams, err := w.redis.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: group, Consumer: w.name, Streams: []string{stream, from}, Count: 10, Block: block,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil || len(streams) == 0 {
		return nil, err
	}
	return streams[0].Messages, nil
}

// status is what a customer hears of an order.
type status struct {
	Order  string `json:"order"` // the id of its entry, which the page knows from the reply
	SKU    string `json:"sku"`
	Status string `json:"status"`
	Step   int    `json:"step"` // of the status: a later one is higher
}

// serve takes an order through its steps.
func (w *worker) serve(ctx context.Context, entry redis.XMessage) {
	var wanted struct {
		SKU string `json:"sku"`
	}
	user := field(entry, "user")
	steps := []string{"packed", "shipped", "delivered"}
	switch err := json.Unmarshal([]byte(field(entry, "data")), &wanted); {
	case user == "" || field(entry, "event") != "order:create":
		steps = nil // nothing of ours
	case err != nil || !slices.Contains([]string{"tea", "coffee"}, wanted.SKU):
		steps = []string{"not sold"}
	}
	for i, step := range steps {
		select {
		case <-ctx.Done():
			return // begun again at the next start
		case <-time.After(w.pace):
		}
		w.again(ctx, "publish", func(ctx context.Context) error {
			return w.publish(ctx, user, field(entry, "callId"), status{entry.ID, wanted.SKU, step, i + 1})
		})
	}
	w.again(ctx, "acknowledge an order", func(ctx context.Context) error {
		return w.redis.XAck(ctx, stream, group, entry.ID).Err()
	})
}

// publish has the gateway tell a customer of a step: once, however often it is
// asked to. callID is the same when the gateway has added an order twice.
func (w *worker) publish(ctx context.Context, user, callID string, s status) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return w.redis.XAdd(ctx, &redis.XAddArgs{Stream: commands, Values: []string{
		"op", "publish", "user", user, "event", "order_status", "data", string(data),
		"idempotencyKey", callID + "-" + s.Status,
	}}).Err()
}

// again does something until it succeeds, or ctx ends.
func (w *worker) again(ctx context.Context, what string, do func(context.Context) error) {
	for ctx.Err() == nil {
		err := do(ctx)
		if err == nil {
			return
		}
		w.rest(ctx, what, err)
	}
}

// rest says what has failed, and pauses.
func (w *worker) rest(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	fmt.Fprintf(os.Stderr, "orders-redis: %s: %v\n", what, err)
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// field is one of an entry; empty if it is not there.
func field(entry redis.XMessage, name string) string {
	value, _ := entry.Values[name].(string)
	return value
}
