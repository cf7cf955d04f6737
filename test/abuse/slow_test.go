//go:build unix

package abuse

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	crowd   = 1000
	stalled = 50
)

// member is one peer in a room, which it follows.
type member struct {
	*peer
	room string
	has  atomic.Int64 // last offset that it has, or knows to be missing
	pos  string       // of the last publication
	gaps int
}

// follow takes one message. It returns an error for what a client of the
// protocol may not see: a hole without a word.
func (m *member) follow(payload []byte) error {
	var msg struct {
		Event, Room, Pos string
		Offset           int64
		Data             struct {
			Room, Reason, Pos string
			From, Offset      int64
		}
	}
	if !bytes.Contains(payload[:min(len(payload), 60)], []byte(`"gap"`)) { // the cheap way for what comes often
		i := bytes.Index(payload, []byte(`"offset":`))
		if i < 0 || !bytes.HasPrefix(payload, []byte(`{"event":"words"`)) {
			return nil
		}
		rest := payload[i+len(`"offset":`):]
		offset, err := strconv.ParseInt(string(rest[:bytes.IndexByte(rest, ',')]), 10, 64)
		if err != nil || offset != m.has.Load()+1 {
			return fmt.Errorf("offset %d after %d: %w", offset, m.has.Load(), err)
		}
		m.pos = posOf(rest)
		m.has.Store(offset)
		return nil
	}
	if err := json.Unmarshal(payload, &msg); err != nil {
		return err
	}
	g := msg.Data
	if g.Room == "noise" {
		return nil
	}
	if g.Reason != "slow" || g.From != m.has.Load() || g.Offset <= g.From || g.Pos == "" {
		return fmt.Errorf("%s after %d", payload, m.has.Load())
	}
	m.has.Store(g.Offset)
	m.gaps++
	return nil
}

// posOf is the position in a message.
func posOf(message []byte) string {
	_, rest, _ := bytes.Cut(message, []byte(`"pos":"`))
	pos, _, _ := bytes.Cut(rest, []byte{'"'})
	return string(pos)
}

// run follows until the room's offset is reached or the connection ends.
func (m *member) run(top int64) (ended bool, err error) {
	for m.has.Load() < top {
		op, payload, ok := m.receive()
		if !ok || op == opClose {
			return true, nil
		}
		if err := m.follow(payload); err != nil {
			return false, err
		}
	}
	return false, nil
}

// TestFiftyStalledAmongAThousand has a twentieth of two rooms read nothing
// while everybody else does. Nobody else misses anything, what is queued stays
// within the budget, and who was stalled is told of every hole or resumes with
// what the history holds.
func TestFiftyStalledAmongAThousand(t *testing.T) {
	const budget = 4 << 20
	policy := "version: 1\nrooms:\n" +
		"  - {match: cut, join: anyone, publish: member, history: {size: 10000, age: 5m}, slow: disconnect}\n" +
		"  - {match: drop, join: anyone, publish: member, history: {size: 10, age: 5m}, slow: drop_oldest}\n" +
		"  - {match: noise, join: anyone, publish: anyone, slow: drop_oldest}\n"
	a := start(t, policy, "SEND_QUEUE_BYTES=131072", fmt.Sprintf("SEND_BUDGET_BYTES=%d", budget), "HEARTBEAT_INTERVAL=10m", "WRITE_TIMEOUT=10m")
	before := a.baseline(t, func() {
		leave(a.crowd(t))
		readers() // the runtime keeps what it has made of goroutines
	})
	members := a.crowd(t)
	a.stuff(t, members[stalled])
	var honest sync.WaitGroup
	var stop atomic.Int64 // the last offset of both rooms
	stop.Store(1 << 40)
	failed := make(chan error, crowd)
	for _, m := range members[stalled:] {
		honest.Go(func() {
			for m.has.Load() < stop.Load() {
				_, payload, ok := m.receive()
				if !ok {
					failed <- fmt.Errorf("an honest member of %s was cut", m.room)
					return
				}
				if err := m.follow(payload); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	top := a.speak(t, members, failed, budget)
	stop.Store(top)
	a.publishBoth(t, members, top) // wakes the readers for the last time
	honest.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	for i, m := range members[:stalled] {
		a.recovers(t, i, m, top)
	}
	st := a.transport.Stats()
	t.Logf("%d publications in each room; %d cut as slow, %d for the budget, %d publications left out", top, st.SlowCuts, st.BudgetCuts, st.Dropped)
	leave(members)
	before.heap += uint64(top) * 6000 // the history that "cut" keeps
	a.settled(t, before)
}

// crowd fills the rooms.
func (a *app) crowd(t *testing.T) []*member {
	t.Helper()
	members := make([]*member, crowd)
	for i := range members {
		members[i] = a.join(t, []string{"cut", "drop"}[i%2], i < stalled)
	}
	return members
}

// readers runs as many goroutines as the test will.
func readers() {
	var all sync.WaitGroup
	end := make(chan struct{})
	for range crowd {
		all.Go(func() { <-end })
	}
	close(end)
	all.Wait()
}

func leave(members []*member) {
	for _, m := range members {
		_ = m.Close()
	}
}

// join makes a member; one that will stall has little room in its kernel.
func (a *app) join(t *testing.T, room string, small bool) *member {
	t.Helper()
	m := &member{peer: a.peer(t), room: room}
	if small {
		m.peer = a.narrow(t)
	}
	m.say(t, handshake+"\r\n")
	if status := m.answer(t); status != http.StatusSwitchingProtocols {
		t.Fatalf("the upgrade was answered with %d", status)
	}
	if small {
		m.send(fin|opText, `{"event":"join_room","data":{"room":"noise"}}`)
	}
	m.send(fin|opText, `{"event":"join_room","id":1,"data":{"room":"`+room+`"}}`)
	reply, ok := m.until(`"id":1,`)
	if !ok {
		t.Fatal("cannot join")
	}
	m.pos = posOf([]byte(reply))
	return m
}

// narrow opens a connection whose kernel takes little that is not read.
func (a *app) narrow(t *testing.T) *peer {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10)
		})
	}}
	ctx, cancel := limited(t)
	defer cancel()
	c, err := d.DialContext(ctx, "tcp", a.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	return &peer{c, bufio.NewReader(c)}
}

// stuff fills what the kernel holds for those who read nothing.
func (a *app) stuff(t *testing.T, speaker *member) {
	t.Helper()
	noise := fmt.Sprintf(`{"event":"publish","id":3,"data":{"room":"noise","event":"noise","data":"%s"}}`, strings.Repeat("n", 16_000))
	for was := a.transport.Stats().Dropped; a.transport.Stats().Dropped-was < 20*stalled; {
		speaker.send(fin|opText, noise)
		if _, ok := speaker.until(`"id":3,`); !ok {
			t.Fatal("the noise ends")
		}
	}
}

// publishBoth publishes one message to each room, at the given offset.
func (a *app) publishBoth(t *testing.T, members []*member, offset int64) {
	t.Helper()
	words := strings.Repeat("w", 4000)
	for _, m := range members[stalled : stalled+2] {
		m.send(fin|opText, fmt.Sprintf(`{"event":"publish","data":{"room":"%s","event":"words","data":[%d,"%s"]}}`, m.room, offset, words))
	}
}

// speak publishes until every stalled member has missed something. It goes
// only as fast as the honest members read.
func (a *app) speak(t *testing.T, members []*member, failed chan error, budget int64) int64 {
	t.Helper()
	was := a.transport.Stats()
	for n := int64(1); ; n++ {
		a.publishBoth(t, members, n)
		for begin := time.Now(); slowest(members[stalled:]) < n-8 && len(failed) == 0; time.Sleep(time.Millisecond) {
			if time.Since(begin) > patience/2 {
				t.Fatal("the honest members do not follow")
			}
		}
		st := a.transport.Stats()
		if st.HeldBytes > budget {
			t.Fatalf("%d bytes are held, the budget is %d", st.HeldBytes, budget)
		}
		if len(failed) > 0 || n > 20_000 {
			return n + 1
		}
		cut := st.SlowCuts + st.BudgetCuts - was.SlowCuts - was.BudgetCuts
		if cut >= stalled/2 && st.Dropped-was.Dropped > 10*stalled {
			return n + 1
		}
	}
}

// slowest is the least offset that somebody has.
func slowest(members []*member) int64 {
	least := int64(math.MaxInt64)
	for _, m := range members {
		least = min(least, m.has.Load())
	}
	return least
}

// recovers lets a stalled member read again, and resume if it was cut.
func (a *app) recovers(t *testing.T, i int, m *member, top int64) {
	t.Helper()
	ended, err := m.run(top)
	if err != nil {
		t.Fatalf("stalled member %d of %s: %v", i, m.room, err)
	}
	if m.room == "drop" && !ended && m.gaps == 0 {
		t.Errorf("stalled member %d of %s is told of no gap", i, m.room)
	}
	if !ended {
		return
	}
	_ = m.Close()
	again := &member{peer: a.upgraded(t), room: m.room}
	again.has.Store(m.has.Load())
	defer func() { _ = again.Close() }()
	again.send(fin|opText, fmt.Sprintf(`{"event":"join_room","id":1,"data":{"room":"%s","since":"%s"}}`, m.room, m.pos))
	reply, _ := again.until(`"id":1,`)
	var joined struct {
		Data struct {
			Offset    int64
			Recovered bool
			Reason    string
		}
	}
	if err := json.Unmarshal([]byte(reply), &joined); err != nil {
		t.Fatal(err)
	}
	switch {
	case joined.Data.Recovered:
		if ended, err := again.run(top); err != nil || ended {
			t.Fatalf("member %d resumes and ends: %v, %v", i, ended, err)
		}
	case joined.Data.Reason == "too_far_behind":
		again.catchUp(t, m.pos, joined.Data.Offset)
	case m.room == "cut" || joined.Data.Reason == "":
		t.Errorf("member %d of %s: %s", i, m.room, reply)
	}
}

// catchUp reads the history page by page.
func (m *member) catchUp(t *testing.T, pos string, to int64) {
	t.Helper()
	for m.has.Load() < to {
		m.send(fin|opText, fmt.Sprintf(`{"event":"history","id":2,"data":{"room":"%s","since":"%s","limit":20}}`, m.room, pos))
		reply, ok := m.until(`"id":2,`)
		var page struct {
			Data struct {
				Pos          string
				Publications []struct{ Offset int64 }
			}
		}
		if err := json.Unmarshal([]byte(reply), &page); !ok || err != nil || len(page.Data.Publications) == 0 {
			t.Fatalf("history after %d: %.200q, %v", m.has.Load(), reply, err)
		}
		for _, p := range page.Data.Publications {
			if p.Offset != m.has.Load()+1 {
				t.Fatalf("history has %d after %d", p.Offset, m.has.Load())
			}
			m.has.Store(p.Offset)
		}
		pos = page.Data.Pos
	}
}
