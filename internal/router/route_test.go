package router

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const routed = `
version: 1
rooms:
  - {match: "open:*", join: anyone, publish: backend, history: {size: 10}}
  - {match: "user:*", publish: backend}
routes:
  - {match: "order:*", http: {url: "http://orders/"}}
  - {match: ask, send: anyone, http: {url: "http://ask/"}}
  - {match: "open:*:typing", send: member, room: "open:{1}", http: {url: "http://typing/"}}
  - {match: vote, send: anyone, room: "open:votes"}
  - {match: "say:*", room: "open:{1}"}
  - {match: "to.**", send: anyone, room: "{1}"}
  - {match: seen, send: authenticated, room: "user:{user}"}
  - {match: "lost", send: anyone, room: nowhere}
  - {match: "bid:*", send: member, room: "open:{1}", stream: {name: bids}}
  - {match: pay, stream: {name: payments, maxLength: 5}}
`

// service is an upstream: it answers what the test says.
type service struct {
	mu     sync.Mutex
	got    []Call                                                         // guarded by mu
	answer func(ctx context.Context, to *policy.Upstream) ([]byte, error) // guarded by mu
}

func (s *service) answers(f func(ctx context.Context, to *policy.Upstream) ([]byte, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

func (s *service) Call(ctx context.Context, to *policy.Upstream, c Call) ([]byte, error) {
	s.mu.Lock()
	s.got = append(s.got, c)
	answer := s.answer
	s.mu.Unlock()
	if answer == nil {
		return []byte(`"` + to.URL + `"`), nil
	}
	return answer(ctx, to)
}

// took takes what the service was sent.
func (s *service) took() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.got
	s.got = nil
	return out
}

// inRoutedBubble runs a test against a gateway with routes.
func inRoutedBubble(t *testing.T, f func(t *testing.T, r *rig, s *service)) {
	t.Helper()
	inBubble(t, options{rooms: routed}, func(t *testing.T, r *rig) {
		s := &service{}
		r.router.UseUpstreams(s)
		f(t, r, s)
	})
}

func TestAnEventGoesToItsServiceAndTheAnswerIsTheReply(t *testing.T) {
	inRoutedBubble(t, func(t *testing.T, r *rig, s *service) {
		ann := r.user("ann")
		ann.ask(`{"event":"order:create","id":7,"data":{"n": 1.0}}`, `{"event":"order:create","id":7,"data":"http://orders/"}`)
		got := s.took()
		if len(got) != 1 || got[0].Identity.UserID != "ann" || got[0].Connection != ann.s.ID() || got[0].Event != "order:create" ||
			got[0].Room != "" || string(got[0].ID) != "7" || string(got[0].Data) != `{"n": 1.0}` {
			t.Errorf("sent %+v", got)
		}
		s.answers(func(context.Context, *policy.Upstream) ([]byte, error) { return nil, nil })
		ann.ask(`{"event":"order:create","id":8}`, `{"event":"order:create","id":8,"data":null}`)
		ann.ask(`{"event":"order:create"}`) // no id: no reply is wanted
		s.answers(func(context.Context, *policy.Upstream) ([]byte, error) {
			return nil, &wire.Error{Code: wire.Conflict, Message: "None left.", Reason: "out_of_stock"}
		})
		ann.ask(`{"event":"order:create"}`,
			`{"event":"error","data":{"code":"conflict","message":"None left.","timestamp":_,"retryable":false,"reason":"out_of_stock"}}`)
		s.answers(func(context.Context, *policy.Upstream) ([]byte, error) { return nil, errors.New("password of db-7") })
		ann.say(`{"event":"order:create","id":9}`)
		if heard := ann.heard(); len(heard) != 1 || !strings.HasPrefix(heard[0], failed("9", "internal")[:40]) || strings.Contains(heard[0], "db-7") {
			t.Errorf("heard %v", heard)
		}
	})
}

func TestARouteSaysWhoMaySend(t *testing.T) {
	inRoutedBubble(t, func(t *testing.T, r *rig, s *service) {
		ann, guest, stranger := r.user("ann"), r.guest(), r.stranger()
		ann.ask(`{"event":"dance","id":1}`, failed("1", "unknown_event"))
		guest.ask(`{"event":"order:create","id":1}`, failed("1", "forbidden"))
		guest.ask(`{"event":"ask","id":2}`, `{"event":"ask","id":2,"data":"http://ask/"}`)
		guest.ask(`{"event":"seen","id":3}`, failed("3", "forbidden"))
		stranger.ask(`{"event":"ask","id":1}`, failed("1", "unauthenticated"))
		ann.ask(`{"event":"open:7:typing","id":2}`, failed("2", "forbidden"))
		ann.say(`{"event":"join_room","id":3,"data":{"room":"open:7"}}`)
		ann.heard()
		s.took()
		ann.ask(`{"event":"open:7:typing","id":4}`, `{"event":"open:7:typing","id":4,"data":"http://typing/"}`)
		if got := s.took(); len(got) != 1 || got[0].Room != "open:7" {
			t.Errorf("sent %+v", got)
		}
		ann.ask(`{"event":"open:8:typing","id":5}`, failed("5", "forbidden"))
		ann.ask(`{"event":"gap","id":6,"data":{}}`, failed("6", "forbidden")) // whatever the wildcards say
		stranger.Close(wire.Close{})
	})
}

func TestARoutePublishesInPlaceOfTheRoomsOwnRule(t *testing.T) {
	inRoutedBubble(t, func(t *testing.T, r *rig, _ *service) {
		ann, bob := r.user("ann"), r.user("bob")
		bob.say(`{"event":"join_room","id":1,"data":{"room":"open:votes"}}`, `{"event":"join_room","id":2,"data":{"room":"open:7"}}`)
		bob.heard()
		ann.ask(`{"event":"publish","id":1,"data":{"room":"open:votes","event":"vote"}}`, failed("1", "forbidden"))
		ann.ask(`{"event":"vote","id":2,"data":{"for":"x"}}`, `{"event":"published","id":2,"data":{"room":"open:votes","offset":1,"pos":_}}`)
		bob.expect(`{"event":"vote","room":"open:votes","offset":1,"pos":_,"data":{"for":"x"}}`)

		ann.ask(`{"event":"say:7","id":3}`, failed("3", "forbidden")) // not a member
		bob.ask(`{"event":"say:7","id":3,"data":1}`,                  // the reply precedes the own copy
			`{"event":"published","id":3,"data":{"room":"open:7","offset":1,"pos":_}}`,
			`{"event":"say:7","room":"open:7","offset":1,"pos":_,"data":1}`)

		ann.ask(`{"event":"seen","data":[1]}`, `{"event":"seen","room":"user:ann","offset":1,"pos":_,"data":[1]}`)
		ann.ask(`{"event":"to.open:votes","id":4}`, `{"event":"published","id":4,"data":{"room":"open:votes","offset":2,"pos":_}}`)
		bob.heard()
		ann.ask(`{"event":"to.user:bob","id":5}`, failed("5", "forbidden"))
		ann.ask(`{"event":"to.user:ann","id":6}`, `{"event":"published","id":6,"data":{"room":"user:ann","offset":2,"pos":_}}`,
			`{"event":"to.user:ann","room":"user:ann","offset":2,"pos":_,"data":null}`)
		ann.ask(`{"event":"to.user","id":7}`, failed("7", "forbidden"))
		ann.ask(`{"event":"to.a b","id":8}`, failed("8", "invalid_message"))
		ann.ask(`{"event":"to.","id":9}`, failed("9", "invalid_message"))
		ann.ask(`{"event":"to.*","id":10}`, failed("10", "invalid_message")) // the name of everyone
		ann.ask(`{"event":"lost","id":11}`, failed("11", "forbidden"))
		bob.expect()
	})
}

// channel is a stream: it keeps what is added.
type channel struct {
	mu    sync.Mutex
	got   []Call          // guarded by mu
	to    []policy.Stream // guarded by mu
	fault error           // guarded by mu
}

func (c *channel) Add(_ context.Context, to *policy.Stream, call Call) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		return "", c.fault
	}
	c.got, c.to = append(c.got, call), append(c.to, *to)
	return fmt.Sprintf("1767225600000-%d", len(c.got)), nil
}

func TestAnEventGoesIntoItsStreamAndTheReplyNamesTheEntry(t *testing.T) {
	inRoutedBubble(t, func(t *testing.T, r *rig, _ *service) {
		ann, guest := r.user("ann"), r.guest()
		ann.ask(`{"event":"pay","id":1}`, failed("1", "unavailable")) // nobody adds to streams
		c := &channel{}
		r.router.UseStreams(c)
		guest.ask(`{"event":"pay","id":1}`, failed("1", "forbidden"))
		ann.ask(`{"event":"bid:7","id":2}`, failed("2", "forbidden"))
		ann.ask(`{"event":"pay","id":"x","data":{"n": 1.0}}`, `{"event":"pay","id":"x","data":{"id":"1767225600000-1"}}`)
		ann.ask(`{"event":"pay"}`) // no id: no reply is wanted
		ann.say(`{"event":"join_room","id":3,"data":{"room":"open:7"}}`)
		ann.heard()
		ann.ask(`{"event":"bid:7","id":4,"data":5}`, `{"event":"bid:7","id":4,"data":{"id":"1767225600000-3"}}`)
		ann.ask(`{"event":"bid:a b","id":5}`, failed("5", "invalid_message"))
		if len(c.got) != 3 || c.got[0].Identity.UserID != "ann" || c.got[0].Connection != ann.s.ID() || string(c.got[0].Data) != `{"n": 1.0}` ||
			string(c.got[0].ID) != `"x"` || c.got[0].Room != "" || c.got[2].Room != "open:7" || c.got[2].Event != "bid:7" {
			t.Errorf("added %+v", c.got)
		}
		if want := (policy.Stream{Name: "payments", MaxLength: 5}); len(c.to) != 3 || c.to[0] != want || c.to[2].Name != "bids" {
			t.Errorf("added to %+v", c.to)
		}
		c.fault = wire.NewError(wire.Unavailable, "away")
		ann.ask(`{"event":"pay"}`, failed("", "unavailable"))
		if err := r.router.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		ann.ask(`{"event":"pay","id":6}`, failed("6", "unavailable"))
	})
}

func TestEventsOfOneConnectionAreAnsweredInTheirOrder(t *testing.T) {
	inRoutedBubble(t, func(t *testing.T, r *rig, s *service) {
		s.answers(func(ctx context.Context, to *policy.Upstream) ([]byte, error) {
			if to.URL == "http://orders/" {
				time.Sleep(time.Second)
			}
			return []byte(`{}`), nil
		})
		ann, bob := r.user("ann"), r.user("bob")
		ann.say(`{"event":"order:1","id":1}`, `{"event":"ask","id":2}`, `{"event":"ping","id":3}`)
		if got := s.took(); len(got) != 1 {
			t.Errorf("%d events on their way at once", len(got))
		}
		bob.ask(`{"event":"ask","id":1}`, `{"event":"ask","id":1,"data":{}}`) // nobody else waits
		time.Sleep(time.Second)
		synctest.Wait()
		ann.expect(`{"event":"order:1","id":1,"data":{}}`, `{"event":"ask","id":2,"data":{}}`, `{"event":"pong","id":3,"data":{"timestamp":_}}`)
	})
}

func hangs(ctx context.Context, _ *policy.Upstream) ([]byte, error) {
	<-ctx.Done()
	return nil, errUpstream
}

func TestADrainWaitsForServicesButNotForLong(t *testing.T) {
	inRoutedBubble(t, func(t *testing.T, r *rig, s *service) {
		s.answers(func(context.Context, *policy.Upstream) ([]byte, error) {
			time.Sleep(time.Second)
			return []byte(`{}`), nil
		})
		ann, bob := r.user("ann"), r.user("bob")
		ann.say(`{"event":"ask","id":1}`)
		begin := time.Now()
		if err := r.router.Hold(t.Context()); err != nil || time.Since(begin) < time.Second || time.Since(begin) > 2*time.Second {
			t.Errorf("held with %v after %v", err, time.Since(begin))
		}
		ann.expect(`{"event":"ask","id":1,"data":{}}`)
		bob.ask(`{"event":"ask","id":1}`, failed("1", "unavailable"))
		bob.ask(`{"event":"vote","id":2}`, failed("2", "unavailable"))
	})
	inRoutedBubble(t, func(t *testing.T, r *rig, s *service) {
		s.answers(hangs)
		ann := r.user("ann")
		ann.say(`{"event":"ask","id":1}`)
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		defer cancel()
		if err := r.router.Hold(ctx); err != nil || time.Since(begin) != callHold || ctx.Err() != nil {
			t.Errorf("held with %v after %v", err, time.Since(begin))
		}
		begin = time.Now()
		r.stop() // waits for the call, which its context ends
		if time.Since(begin) > time.Second {
			t.Errorf("stopped after %v", time.Since(begin))
		}
		synctest.Wait()
		ann.expect(failed("1", "unavailable"))
	})
}

func TestAFloodOfEventNamesIsForgotten(t *testing.T) {
	r := start(t, options{rooms: routed})
	defer r.stop()
	c := &flooded{}
	s := session.New(c, session.Hello{Codec: jsonv1.Codec{}}, r.router)
	s.Identify(nil, &auth.Identity{UserID: "ann"})
	flood := func(from int) {
		for i := range 20_000 {
			r.router.Dispatch(s, &wire.Request{Event: fmt.Sprintf("event-%d", from+i), ID: []byte("1")})
			r.router.Dispatch(s, &wire.Request{Event: fmt.Sprintf("open:%d:typing", from+i), ID: []byte("1")})
		}
	}
	flood(0)
	before := heap()
	flood(20_000)
	if grown := heap() - before; grown > 512<<10 {
		t.Errorf("40,000 names took %d bytes", grown)
	}
	if c.sent != 80_000 {
		t.Errorf("%d answers", c.sent)
	}
}

// flooded is a connection that counts what it is sent.
type flooded struct {
	transport.Conn
	sent int
}

func (f *flooded) Send(*wire.Frame) bool {
	f.sent++
	return true
}

// register keeps what a Watcher is told.
type register struct {
	mu   sync.Mutex
	told []string // guarded by mu
}

func (g *register) tell(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told = append(g.told, text)
}

func (g *register) Connected(c string, id *auth.Identity) { g.tell("+" + c + " " + id.UserID) }

func (g *register) Disconnected(c string, id *auth.Identity, _ wire.Close) {
	g.tell("-" + c + " " + id.UserID)
}

func (g *register) Occupied(room string) { g.tell("+" + room) }
func (g *register) Vacated(room string)  { g.tell("-" + room) }

func TestConnectionsAndRoomsAreWatched(t *testing.T) {
	inBubble(t, options{rooms: routed}, func(t *testing.T, r *rig) {
		g := &register{}
		r.router.UseWatcher(g)
		r.hub.UseWatcher(g)
		stranger := r.stranger()
		ann, again := r.user("ann"), r.user("ann")
		ann.say(`{"event":"join_room","id":1,"data":{"room":"open:1"}}`, `{"event":"join_room","id":1,"data":{"room":"open:1"}}`)
		ann.Close(wire.Close{Code: wire.CloseGoingAway})
		again.Close(wire.Close{Code: wire.CloseGoingAway})
		guest := r.guest()
		guestID := guest.s.Identity().UserID
		guest.say(`{"event":"authenticate","id":1,"data":{"token":"u:bob"}}`)
		guest.Close(wire.Close{Code: wire.CloseGoingAway})
		stranger.Close(wire.Close{Code: wire.CloseGoingAway}) // nobody was told of it
		synctest.Wait()
		want := []string{
			"+" + ann.s.ID() + " ann", "+user:ann", "+" + again.s.ID() + " ann", "+open:1", "-open:1", "-" + ann.s.ID() + " ann",
			"-user:ann", "-" + again.s.ID() + " ann",
			"+" + guest.s.ID() + " " + guestID, "+" + wire.UserRoom(guestID), "-" + wire.UserRoom(guestID),
			"+" + guest.s.ID() + " bob", "+user:bob", "-user:bob", "-" + guest.s.ID() + " bob",
		}
		for i := range max(len(want), len(g.told)) {
			if i >= len(want) || i >= len(g.told) || g.told[i] != want[i] {
				t.Fatalf("told\n%s\nwant\n%s", strings.Join(g.told, "\n"), strings.Join(want, "\n"))
			}
		}
	})
}
