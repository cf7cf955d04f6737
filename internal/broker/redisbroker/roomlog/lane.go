package roomlog

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// maxBatchBytes bounds what one pipeline takes besides its first request.
const maxBatchBytes = 1 << 20

// request is one command on its way. Its caller waits for done, or drops it.
type request struct {
	// Immutable once submitted.
	script *script // nil for a command that is none
	bytes  int     // about, on the wire

	// cmd and replicated belong to the sender from submit until done.
	cmd        redis.Cmder
	replicated bool // enough replicas have it

	state atomic.Uint32 // one of the constants below
	done  chan struct{} // gets one value when cmd has its reply or error
}

// The states of a request.
const (
	waiting uint32 = iota
	taken          // a sender has it: it may be executed
	dropped        // its caller has left: it is not sent any more
)

func newRequest(script *script, bytes int, cmd redis.Cmder) *request {
	return &request{script: script, bytes: bytes, cmd: cmd, done: make(chan struct{}, 1)}
}

// drop leaves a request and tells whether it is certain that it is not sent.
func (r *request) drop() bool { return r.state.CompareAndSwap(waiting, dropped) }

// purpose is what a lane is for. Each has connections of its own, so that
// publishes neither wait behind large pages nor for replicas.
type purpose uint8

const (
	publishing purpose = iota
	reading
	replicating // publishes that are acknowledged once replicas have them
	purposes
)

// lane collects requests to one shard into pipelines. As many senders as there
// may be pipelines under way run while there is something to send.
type lane struct {
	// Immutable.
	log     *Log
	shard   *redisconn.Shard
	purpose purpose

	mu      sync.Mutex
	queue   []*request // guarded by mu; the first head of it are gone
	head    int        // guarded by mu
	senders int        // guarded by mu
}

// submit takes a request. It never blocks.
func (n *lane) submit(r *request) {
	n.mu.Lock()
	n.queue = append(n.queue, r)
	spawn := n.senders < n.log.cfg.Connections
	if spawn {
		n.senders++
	}
	n.mu.Unlock()
	if spawn && !n.log.spawn(n.serve) {
		n.refuse()
	}
}

// refuse fails what waits: Shutdown was called before there was a sender.
func (n *lane) refuse() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.senders--
	for _, r := range n.queue[n.head:] {
		if r.state.CompareAndSwap(waiting, taken) {
			r.cmd.SetErr(errShutDown)
			r.done <- struct{}{}
		}
	}
	n.queue, n.head = nil, 0
}

// serve sends what waits until nothing does.
func (n *lane) serve() {
	batch := make([]*request, 0, n.log.cfg.Batch)
	for {
		batch = n.take(batch[:0])
		if len(batch) == 0 {
			return
		}
		n.send(batch)
		clear(batch)
	}
}

// take moves what goes into one pipeline to batch. When it finds nothing the
// sender has ended.
func (n *lane) take(batch []*request) []*request {
	n.mu.Lock()
	defer n.mu.Unlock()
	bytes := 0
	for n.head < len(n.queue) && len(batch) < cap(batch) {
		r := n.queue[n.head]
		if len(batch) > 0 && bytes+r.bytes > maxBatchBytes {
			break
		}
		n.queue[n.head] = nil
		n.head++
		if r.state.CompareAndSwap(waiting, taken) {
			batch = append(batch, r)
			bytes += r.bytes
		}
	}
	n.compact()
	if len(batch) == 0 {
		n.senders--
	}
	return batch
}

// compact lets go of what the queue has behind it. Guarded by mu.
func (n *lane) compact() {
	switch {
	case n.head == len(n.queue):
		n.queue, n.head = n.queue[:0], 0
	case n.head > len(n.queue)/2:
		n.queue, n.head = n.queue[:copy(n.queue, n.queue[n.head:])], 0
	}
	if cap(n.queue) > spareQueue && len(n.queue) < cap(n.queue)/8 {
		n.queue = append(make([]*request, 0, cap(n.queue)/4), n.queue...)
	}
}

// spareQueue is the queue that a lane keeps although it is empty.
const spareQueue = 4096

// idle tells whether nothing is queued or under way.
func (n *lane) idle() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.senders == 0
}

func (n *lane) waiting() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.queue) - n.head
}

// send executes a batch and completes its requests. What fails only because
// the server does not know a script is sent again with the script.
func (n *lane) send(batch []*request) {
	ctx := context.Background() // the client's time limits hold
	n.exec(ctx, batch)
	var again []*request
	for _, r := range batch {
		if fateOf(r.cmd.Err()) == unloaded {
			again = append(again, r)
		}
	}
	if len(again) > 0 && n.load(ctx, again) {
		n.exec(ctx, again)
	}
	for _, r := range batch {
		r.done <- struct{}{}
	}
}

// exec sends requests in one pipeline, followed by WAIT if replicas matter.
func (n *lane) exec(ctx context.Context, batch []*request) {
	pipe := n.shard.Client().Pipeline()
	for _, r := range batch {
		r.cmd.SetErr(nil)
		_ = pipe.Process(ctx, r.cmd)
	}
	count := &n.log.counts
	count.batches.Add(1)
	count.commands.Add(uint64(len(batch)))
	var replicas *redis.IntCmd
	if n.purpose == replicating {
		count.waits.Add(1)
		replicas = redis.NewIntCmd(ctx, "WAIT", n.log.cfg.Replicas, n.log.waitTimeout().Milliseconds())
		_ = pipe.Process(ctx, replicas)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	if replicas == nil {
		return
	}
	n.confirm(batch, replicas)
}

// confirm notes what WAIT has said of a batch. If it has said nothing, that is
// as if the replies were lost: a repeat will wait again.
func (n *lane) confirm(batch []*request, replicas *redis.IntCmd) {
	have, err := replicas.Result()
	for _, r := range batch {
		r.replicated = err == nil && have >= int64(n.log.cfg.Replicas)
		if err != nil && r.cmd.Err() == nil {
			r.cmd.SetErr(errUnconfirmed)
		}
	}
}

// load gives the server the scripts of requests that failed for want of them.
func (n *lane) load(ctx context.Context, batch []*request) bool {
	n.log.counts.reloads.Add(1)
	loaded := make(map[*script]bool)
	for _, r := range batch {
		if loaded[r.script] {
			continue
		}
		if err := n.shard.Client().ScriptLoad(ctx, r.script.source).Err(); err != nil {
			return false
		}
		loaded[r.script] = true
	}
	return true
}

// waitTimeout leaves the reply of WAIT time to come before the connection's
// limit.
func (l *Log) waitTimeout() time.Duration {
	return max(time.Millisecond, min(l.cfg.WaitTimeout, l.redis.CommandTimeout()/2))
}
