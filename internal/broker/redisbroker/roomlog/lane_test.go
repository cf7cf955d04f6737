package roomlog

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

// idleLane is a lane of a log that was never started on any Redis.
func idleLane(t *testing.T, cfg Config) *lane {
	m, err := redisconn.New(redisconn.Config{Host: "127.0.0.1"}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	l := open(t, m, cfg)
	return l.lane(m.Shards()[0], publishing)
}

func queued(n *lane, sizes ...int) []*request {
	requests := make([]*request, 0, len(sizes))
	for _, size := range sizes {
		requests = append(requests, newRequest(nil, size, redis.NewStatusCmd(context.Background(), "PING")))
	}
	n.queue = append(n.queue, requests...)
	return requests
}

func TestAPipelineIsBoundedInCommandsAndBytes(t *testing.T) {
	n := idleLane(t, Config{Batch: 3})
	big := 2 * maxBatchBytes
	r := queued(n, 1, 1, 1, 1, big, 1, big, maxBatchBytes-1, 1, 1)
	r[1].drop()
	var sizes []int
	for {
		batch := n.take(make([]*request, 0, n.log.cfg.Batch))
		if len(batch) == 0 {
			break
		}
		sizes = append(sizes, len(batch))
		for _, q := range batch {
			if q.drop() || q == r[1] {
				t.Error("sent what was dropped, or dropped what is sent")
			}
		}
	}
	want := []int{3, 1, 1, 1, 2, 1}
	if len(sizes) != len(want) || n.waiting() != 0 {
		t.Fatalf("%v, %d wait", sizes, n.waiting())
	}
	for i := range want {
		if sizes[i] != want[i] {
			t.Errorf("%v, want %v", sizes, want)
		}
	}
}

func TestALongQueueGivesItsMemoryBack(t *testing.T) {
	n := idleLane(t, Config{Batch: 1000})
	queued(n, make([]int, 8*spareQueue)...)
	for len(n.take(make([]*request, 0, 1000))) > 0 {
	}
	if cap(n.queue) > spareQueue*2 {
		t.Errorf("%d places for nothing", cap(n.queue))
	}
}

func TestWhatIsSubmittedAfterShutdownFails(t *testing.T) {
	n := idleLane(t, Config{})
	if err := n.log.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := newRequest(nil, 1, redis.NewStatusCmd(t.Context(), "PING"))
	n.submit(r)
	<-r.done
	if err := r.cmd.Err(); !errors.Is(err, errShutDown) || fateOf(err) != unsent || !n.idle() {
		t.Errorf("error %v", err)
	}
}

func TestLanesOfShardsThatAreGoneAreForgotten(t *testing.T) {
	r := start(t, redistest.Single(t).Config(), Config{})
	gone := new(redisconn.Shard)
	if r.log.lane(gone, reading) == nil {
		t.Fatal("no lane")
	}
	r.publish(r.draft(room, kept))
	if _, there := r.log.lanes[gone]; there || len(r.log.lanes) != 1 {
		t.Errorf("%d shards have lanes", len(r.log.lanes))
	}
}
