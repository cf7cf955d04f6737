package redisconn_test

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

func TestCommandsSucceedAsSoonAsRedisIsBackHoweverManyHaveFailed(t *testing.T) {
	t.Parallel()
	s := redistest.Single(t)
	r := newRig(t, s.Config()).wait()
	s.Kill()
	shard := r.Shards()[0].Client()
	for range 100 {
		var op *net.OpError
		if err := shard.Ping(t.Context()).Err(); !errors.As(err, &op) || op.Op != "dial" {
			t.Fatalf("while away: %v", err)
		}
	}
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { _ = r.Client().Ping(t.Context()) })
	}
	all.Wait()
	s.Restart()
	for range 100 {
		if err := shard.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if err := r.Client().Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSentinelsThatAreAwayAreAnErrorOfTheDial(t *testing.T) {
	t.Parallel()
	r := newRig(t, redisconn.Config{SentinelAddrs: []string{"127.0.0.1:1"}})
	var op *net.OpError
	if err := r.Shards()[0].Client().Ping(t.Context()).Err(); !errors.As(err, &op) || op.Op != "dial" {
		t.Errorf("got %v", err)
	}
	begun := time.Now()
	if got := r.ready(); got != "redis is away" {
		t.Errorf("%q after %v", got, time.Since(begun))
	}
}
