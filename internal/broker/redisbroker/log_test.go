package redisbroker

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestAnEntryThatSomebodyDeletedIsAGapOnce(t *testing.T) {
	t.Parallel()
	r := assemble(t, 2, Config{})
	r.subscribe(lobby)
	deaf := r.nodes[1]
	const before = pageMost + 10
	for range before {
		r.say(r.nodes[0], lobby, kept)
	}
	r.whole(lobby, before)
	it := deaf.find(lobby)
	it.mu.Lock() // it hears nothing meanwhile
	l := it.link
	it.link = nil
	it.mu.Unlock()
	var bad wire.Position
	for i := range 6 {
		if pos := r.say(r.nodes[0], lobby, kept); i == 2 {
			bad = pos
		}
	}
	id := fmt.Sprintf("%d-%d", bad.Offset, bad.Nonce)
	if err := r.redis.Client().XDel(t.Context(), deaf.redis.Key("l", lobby), id).Err(); err != nil {
		t.Fatal(err)
	}
	if err := deaf.waitFor(t.Context(), l.hail()); err != nil {
		t.Fatal(err)
	}
	it.mu.Lock()
	it.link = l
	it.mu.Unlock()
	r.say(r.nodes[0], lobby, kept)
	eventually(t, "the room is up to date", func() bool { return deaf.Stats().Behind == 0 && deaf.Stats().Busy == 0 && deaf.Stats().Gaps > 0 })
	r.say(r.nodes[0], lobby, kept)
	events := deaf.sink.Until(lobby, fmt.Sprint(before+8))
	sound(t, events)
	found, after := gaps(events)
	if len(found) != 1 || found[0].Reason != reasonLost || found[0].Top.Offset < found[0].From {
		t.Errorf("gaps %+v, then %v", found, after)
	}
	seen := map[string]bool{}
	for _, e := range events {
		if e.Pub != nil && seen[string(e.Pub.Data)] {
			t.Errorf("%s came twice", e.Pub.Data)
		} else if e.Pub != nil {
			seen[string(e.Pub.Data)] = true
		}
	}
}

func TestAnEntryThatCannotBeReadIsAGap(t *testing.T) {
	t.Parallel()
	r := assemble(t, 2, Config{})
	r.subscribe(lobby)
	n := r.nodes[0]
	for range 2 {
		r.say(n, lobby, kept)
	}
	r.whole(lobby, 2)
	ctx := t.Context()
	meta := r.redis.Client().Get(ctx, n.redis.Key("m", lobby)).Val()
	f := strings.SplitN(meta, " ", 9) // 1 epoch offset time size age stamp mark nonces
	if len(f) != 9 || f[2] != "2" {
		t.Fatal(meta)
	}
	f[2], f[8] = "3", "77 "+f[8]
	if err := r.redis.Client().Do(ctx, "XADD", n.redis.Key("l", lobby), "3-77", "t", f[3], "p", "\xffbad").Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.redis.Client().Do(ctx, "SET", n.redis.Key("m", lobby), strings.Join(f, " "), "KEEPTTL").Err(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.say(n, lobby, kept)
	}
	for _, n := range r.nodes {
		eventually(t, "the room is up to date", func() bool { return n.Stats().Behind == 0 && n.Stats().Gaps > 0 })
	}
	r.say(n, lobby, kept)
	for i, n := range r.nodes {
		events := n.sink.Until(lobby, "6")
		sound(t, events)
		if found, after := gaps(events); len(found) != 1 || found[0].Reason != reasonLost || !slices.Contains(after, "6") {
			t.Errorf("node %d: %+v, then %v", i, found, after)
		}
	}
}

func TestARoomInUseWithoutHistoryKeepsItsEpoch(t *testing.T) {
	t.Parallel()
	r := assemble(t, 1, Config{})
	n := r.nodes[0]
	r.subscribe(lobby)
	key := n.redis.Key("m", lobby)
	if err := r.redis.Client().PExpire(t.Context(), key, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	r.say(n, lobby, broker.Retention{})
	it := n.find(lobby)
	eventually(t, "it came", func() bool { return len(n.sink.Events(lobby)) == 1 })
	it.home().verify([]*room{it}, true)
	if left := r.redis.Client().PTTL(context.Background(), key).Val(); left <= time.Minute {
		t.Errorf("its metadata lives for %v", left)
	}
}

// slowly starts a proxy to a server that delays each answer.
func slowly(t *testing.T, s *redistest.Server, delay time.Duration) (port int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	carry := func(to, from net.Conn, delay time.Duration) {
		defer func() { _, _ = to.Close(), from.Close() }()
		buf := make([]byte, 256<<10)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			time.Sleep(delay)
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", s.Addr())
			if err != nil {
				_ = in.Close()
				return
			}
			context.AfterFunc(ctx, func() { _, _ = in.Close(), out.Close() })
			wg.Go(func() { carry(out, in, 0) })
			wg.Go(func() { carry(in, out, delay) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port
}

func TestALongLogIsLookedThroughInTime(t *testing.T) {
	t.Parallel()
	r := assemble(t, 1, Config{})
	n := r.nodes[0]
	const entries = 3000
	long := broker.Retention{Size: 2 * entries}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for range entries / 100 {
				p := broker.Publication{Retention: long}
				p.Room, p.Event, p.Data = lobby, "said", []byte("1")
				if _, err := n.Publish(t.Context(), p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	at := r.redis.Config()
	at.Prefix, at.Port = n.redis.Prefix(), slowly(t, r.redis, 240*time.Millisecond)
	far := r.add(at, Config{})
	// As much longer as the line is slower than one that the time is meant for.
	ctx, cancel := context.WithTimeout(t.Context(), 4*readTimeout)
	defer cancel()
	top := n.top(t, lobby)
	old := wire.Position{Epoch: top.Epoch ^ 1, Offset: top.Offset + 1, Nonce: 1}
	start, err := far.start(ctx, lobby, reading{since: old, time: time.Now().Add(time.Hour).UnixMilli()}, top)
	if err != nil || start != top {
		t.Errorf("goes on at %v, top %v: %v", start, top, err)
	}
}
