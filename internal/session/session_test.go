package session

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log is a dispatcher that writes down what it is told.
type log struct {
	lines  []string
	goOn   bool
	closed []wire.Close
}

func (l *log) Dispatch(_ *Session, req *wire.Request) bool {
	l.lines = append(l.lines, fmt.Sprintf("%s %s %s", req.Event, req.ID, req.Data))
	return l.goOn
}

func (l *log) Refused(_ *Session, req *wire.Request, err error) {
	l.lines = append(l.lines, fmt.Sprintf("refused %s %v", req.ID, wire.IsCode(err, wire.InvalidMessage)))
}

func (l *log) Closed(_ *Session, c wire.Close) { l.closed = append(l.closed, c) }

func open(l *log) (*Session, *pipe.Client) {
	var s *Session
	c := pipe.New(func(conn transport.Conn) transport.Handler {
		s = New(conn, Hello{Codec: jsonv1.Codec{}, Peer: netip.MustParseAddr("::1")}, l)
		return s
	})
	return s, c
}

func (l *log) expect(t *testing.T, want ...string) {
	t.Helper()
	if fmt.Sprint(l.lines) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", l.lines, want)
	}
}

func TestRequestsAreDecodedAndDispatched(t *testing.T) {
	l := &log{goOn: true}
	s, c := open(l)
	c.Text(`{"event":"a","id":1,"data":{}}`)
	c.Text(`{"id":2}`)
	c.Text(`nothing`)
	l.goOn = false
	c.Text(`{"event":"b"}`)
	c.Text(`{"event":"c"}`)
	l.expect(t, `a 1 {}`, `refused 2 true`, `refused  true`, `b  `)
	s.Resume()
	c.Wait()
	l.expect(t, `a 1 {}`, `refused 2 true`, `refused  true`, `b  `, `c  `)
	if s.Peer().String() != "::1" || s.Codec() != (jsonv1.Codec{}) {
		t.Error("the session forgot what it was told")
	}
	c.Close(wire.Close{Code: 1000})
	if len(l.closed) != 1 || l.closed[0].Code != 1000 {
		t.Errorf("closed with %v", l.closed)
	}
}

func TestABinaryMessageIsUnsupported(t *testing.T) {
	l := &log{}
	_, c := open(l)
	c.Receive(wire.Binary, []byte(`{"event":"a"}`))
	c.Wait()
	if why, _ := c.Ended(); why.Code != wire.CloseUnsupported || len(l.closed) != 1 {
		t.Errorf("closed with %v", why)
	}
	l.expect(t)
}

func TestIDsDiffer(t *testing.T) {
	ids := map[string]bool{}
	for range 1000 {
		s, _ := open(&log{})
		if ids[s.ID()] || len(s.ID()) != 16 {
			t.Fatalf("id %q", s.ID())
		}
		ids[s.ID()] = true
	}
}

func TestSendingEndsWithTheConnection(t *testing.T) {
	s, c := open(&log{})
	f := jsonv1.Codec{}.Event(wire.Event{Name: "shared"})
	if !s.Send(wire.Event{Name: "own"}) || !s.SendFrames([]*wire.Frame{f, f}) || len(c.Sent()) != 3 {
		t.Error("not all was sent")
	}
	s.Abort()
	if s.Send(wire.Event{Name: "late"}) || s.SendFrames([]*wire.Frame{f}) {
		t.Error("something was sent after the end")
	}
	s.Close(wire.Close{Code: wire.CloseDisconnected})
	c.Wait()
	if why, _ := c.Ended(); why.Code != wire.CloseAbnormal {
		t.Errorf("closed with %v", why)
	}
}

func TestAnIdentityIsGivenOnce(t *testing.T) {
	ann, bob := &auth.Identity{UserID: "ann"}, &auth.Identity{UserID: "bo b"}
	hello := wire.Event{Name: "hello"}
	s, c := open(&log{})
	if s.Identity() != nil || s.OwnRoom() != "" || s.Gone() {
		t.Error("a new session is somebody")
	}
	if s.Identify(bob, ann, hello) || !s.Identify(nil, ann, hello, hello) || s.Identify(nil, bob, hello) || s.Refuse() {
		t.Error("an identity is given to who has none, and stays")
	}
	if s.Identity() != ann || s.OwnRoom() != "user:ann" || len(c.Sent()) != 2 {
		t.Errorf("identity %v in %s", s.Identity(), s.OwnRoom())
	}
	if !s.Identify(ann, bob) || s.OwnRoom() != "user:bo/20b" {
		t.Errorf("in %s", s.OwnRoom())
	}

	refused, _ := open(&log{})
	if !refused.Refuse() || refused.Refuse() || refused.Identify(nil, ann) || !refused.Gone() {
		t.Error("a refused session is refused once and for all")
	}
	left, _ := open(&log{})
	left.Leave()
	if left.Identify(nil, ann) || left.Refuse() {
		t.Error("a session that is gone is nobody")
	}
}

// Who has authenticated is either in time or late, never both.
func TestTheDeadlineAndTheIdentityRace(t *testing.T) {
	for range 500 {
		s, _ := open(&log{})
		var won atomic.Int32
		var wg sync.WaitGroup
		wg.Go(func() {
			if s.Refuse() {
				won.Add(1)
			}
		})
		wg.Go(func() {
			if s.Identify(nil, &auth.Identity{UserID: "ann"}) {
				won.Add(1)
			}
		})
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d won", won.Load())
		}
	}
}

type chair string

func (c chair) Room() string { return string(c) }

func TestSeats(t *testing.T) {
	s, _ := open(&log{})
	sit := func(room string, want bool, code wire.Code) {
		t.Helper()
		ok, err := s.Sit(chair(room), 2)
		if ok != want || (err != nil) != (code != "") || err != nil && !wire.IsCode(err, code) {
			t.Errorf("sit in %s: %v %v", room, ok, err)
		}
	}
	sit("a", true, "")
	sit("b", true, "")
	sit("c", false, wire.LimitExceeded)
	s.Stand(chair("x"))
	if s.Seats() != 2 || s.SeatIn("a") != chair("a") || s.SeatIn("c") != nil {
		t.Error("the seats are wrong")
	}
	s.Stand(chair("a"))
	sit("c", true, "")
	if seats := s.Leave(); len(seats) != 2 || s.Seats() != 0 || len(s.Leave()) != 0 {
		t.Errorf("left %v", seats)
	}
	sit("d", false, "")
	if s.SeatIn("b") != nil {
		t.Error("a session that is gone has a seat")
	}
}

func TestAPublishHasOneReply(t *testing.T) {
	s, c := open(&log{})
	mine := &Publish{Nonce: 1, ID: []byte("7")}
	all := func(*Publish) bool { return true }
	none := func(*Publish) bool { return false }
	reply := func(p *Publish) wire.Event { return wire.Event{Name: "published", ID: p.ID} }
	end := func(match func(*Publish) bool, frames int) {
		t.Helper()
		s.EndPublish(match, reply)
		if n := len(c.Sent()); n != frames {
			t.Errorf("%d replies, want %d", n, frames)
		}
	}
	end(all, 0)
	if s.DropPublish(all) {
		t.Error("nothing was dropped")
	}
	s.BeginPublish(mine)
	end(none, 0)
	end(all, 1)
	end(all, 0)
	s.BeginPublish(mine)
	if s.DropPublish(none) || !s.DropPublish(all) || s.DropPublish(all) {
		t.Error("a publish is dropped once")
	}
	end(all, 0)
	s.BeginPublish(&Publish{Nonce: 2}) // no reply is wanted
	end(all, 0)
}

func TestWhatIsDoneWhileASessionHasAnIdentityIsNotDoneAfter(t *testing.T) {
	s, _ := open(&log{})
	ann, same := &auth.Identity{UserID: "ann"}, &auth.Identity{UserID: "ann"}
	does := func(id *auth.Identity) bool {
		done := false
		if told := s.While(id, func() { done = true }); told != done {
			t.Errorf("told %v, done %v", told, done)
		}
		return done
	}
	if !does(nil) || does(ann) {
		t.Error("without an identity")
	}
	s.Identify(nil, ann)
	if does(nil) || !does(ann) || does(same) {
		t.Error("with an identity")
	}
	s.Identify(ann, same)
	if does(ann) || !does(same) {
		t.Error("with another one")
	}
	s.Leave()
	if does(same) || does(nil) {
		t.Error("gone")
	}
}

// strict is a codec to which everything is a violation.
type strict struct{ jsonv1.Codec }

func (strict) Violation(error) bool { return true }

func TestASessionMayHaveAnIDAndShareAnAccount(t *testing.T) {
	limits := limit.New(limit.Config{MaxPerAddress: 1})
	from := netip.MustParseAddr("192.0.2.1")
	for _, shared := range []bool{true, false} {
		account, ok := limits.Open(from)
		if !ok {
			t.Fatal("the account before was not closed")
		}
		s := New(nil, Hello{ID: "given", Account: account, Shared: shared}, &log{})
		if s.ID() != "given" || !s.Alone() {
			t.Errorf("%q", s.ID())
		}
		s.CloseAccount()
		if open := limits.Stats().Addresses == 1; open != shared {
			t.Errorf("shared %v: open %v", shared, open)
		}
		account.Close()
	}
}

func TestAViolationOfAStrictDialectEndsTheConnection(t *testing.T) {
	l := &log{}
	c := pipe.New(func(conn transport.Conn) transport.Handler { return New(conn, Hello{Codec: strict{}}, l) })
	c.Text(`nothing`)
	c.Wait()
	if why, _ := c.Ended(); why.Code != wire.CloseProtocolError {
		t.Errorf("closed with %v", why)
	}
	l.expect(t)
}
