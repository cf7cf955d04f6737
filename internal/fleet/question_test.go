package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/socketio"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Admit implements socketio.Admission: who says a name is let in.
func (i *instance) Admit(_ context.Context, c socketio.Connect) (socketio.Admitted, error) {
	id := &auth.Identity{UserID: c.Auth.Token}
	return socketio.Admitted{Identity: id, Open: func(conn transport.Conn) transport.Handler {
		return i.router.Open(conn, session.Hello{ID: c.SID, Codec: c.Codec, Peer: netip.MustParseAddr("192.0.2.7"), Identity: id})
	}}, nil
}

// socket is a client of Socket.IO.
type socket struct {
	*pipe.Client

	t    *testing.T
	id   string
	seen []string
}

// socket connects a user to an instance by Socket.IO.
func (i *instance) socket(user string) *socket {
	i.t.Helper()
	c := &socket{t: i.t}
	c.Client = pipe.New(func(conn transport.Conn) transport.Handler { return i.sockets.Open(conn, socketio.Handshake{}) })
	i.t.Cleanup(c.bye)
	c.Text(`0{"token":"` + user + `"}`)
	c.id = c.until(`^40\{"sid":"([^"]+)"`)
	c.until(`^42\["(room_joined)"`)
	return c
}

// until waits for a frame and returns what the first group of its pattern holds.
func (c *socket) until(pattern string) string {
	c.t.Helper()
	like := regexp.MustCompile(pattern)
	for begun := time.Now(); time.Since(begun) < 10*time.Second; time.Sleep(time.Millisecond) {
		for _, f := range c.Sent() {
			c.seen = append(c.seen, string(f.Payload()))
		}
		for n, text := range c.seen {
			if m := like.FindStringSubmatch(text); m != nil {
				c.seen = slices.Delete(c.seen, n, n+1)
				return m[1]
			}
		}
	}
	c.t.Fatalf("no %s among %q", pattern, c.seen)
	return ""
}

// answer waits for a question and answers it.
func (c *socket) answer(with string) {
	c.t.Helper()
	c.Text("3" + c.until(`^42(\d+)\["confirm",\{"a": 1\}\]$`) + with)
}

func (c *socket) bye() { c.Close(wire.Close{Code: wire.CloseNoStatus}) }

var confirm = fleet.Question{Event: "confirm", Data: []byte(`{"a": 1}`), Wait: fleet.MaxWait}

// briefly is confirm with the least time.
func briefly() fleet.Question {
	q := confirm
	q.Wait = fleet.MinWait
	return q
}

// asks asks, and returns what came, in words.
func asks(t *testing.T, i *instance, to router.Target, q fleet.Question, during func()) string {
	t.Helper()
	type outcome struct {
		got fleet.Answers
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		got, err := i.Fleet.Ask(t.Context(), to, q)
		done <- outcome{got, err}
	}()
	if during != nil {
		during()
	}
	o := <-done
	if o.err != nil {
		return o.err.Error()
	}
	var words []string
	for _, a := range o.got.Answers {
		words = append(words, fmt.Sprintf("%s %s%s", a.Connection, a.Data, a.Silence))
	}
	for _, name := range o.got.Missing {
		words = append(words, "missing "+name)
	}
	if o.got.Fault != nil {
		words = append(words, o.got.Fault.Error())
	}
	slices.Sort(words)
	return strings.Join(words, "\n")
}

// lines are words in order.
func lines(words ...string) string {
	slices.Sort(words)
	return strings.Join(words, "\n")
}

func TestAConnectionIsAskedWhereverItIs(t *testing.T) {
	r := start(t, "one", "two", "three")
	for _, i := range r.all {
		c := i.socket("ann")
		got := asks(t, r.all[0], router.Target{Connection: c.id}, confirm, func() { c.answer(`[{"n": 1},2]`) })
		if want := c.id + ` [{"n": 1},2]`; got != want {
			t.Errorf("on %s: %s, want %s", i.name, got, want)
		}
		if got := asks(t, r.all[0], router.Target{Connection: c.id}, confirm, func() { c.answer(`[]`) }); got != c.id+" " {
			t.Errorf("an acknowledgement without an argument: %s", got)
		}
	}
}

func TestAllConnectionsOfAUserAreAskedAndListed(t *testing.T) {
	r := start(t, "one", "two")
	one, two := r.all[0], r.all[1]
	a, b, c, d := one.socket("ann"), two.socket("ann"), two.socket("ann"), one.socket("ann")
	plain, other := two.join("ann"), two.socket("bob")
	got := asks(t, one, router.Target{User: "ann"}, briefly(), func() {
		b.answer(`["b"]`)
		a.answer(`["a"]`)
		c.until(`^42\d+\["(confirm)"`)
		c.bye()
		d.until(`^42\d+\["(confirm)"`) // and does not answer
	})
	if want := lines(a.id+` "a"`, b.id+` "b"`, c.id+" gone", d.id+" timeout", plain.id()+" no_acknowledgements"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if other.Sent(); strings.Contains(strings.Join(other.seen, ""), "confirm") {
		t.Error("another user was asked")
	}
	if stats := two.sockets.Stats(); stats.Asking != 0 {
		t.Errorf("questions are left: %+v", stats)
	}
	if got := asks(t, one, router.Target{User: "stranger"}, confirm, nil); got != "" {
		t.Errorf("a user without connections: %s", got)
	}
}

func TestALateAnswerOfAnotherInstanceIsDropped(t *testing.T) {
	r := start(t, "one", "two")
	c := r.all[1].socket("ann")
	var id string
	got := asks(t, r.all[0], router.Target{Connection: c.id}, briefly(), func() { id = c.until(`^42(\d+)`) })
	if got != c.id+" timeout" {
		t.Errorf("%s", got)
	}
	for begun := time.Now(); r.all[1].sockets.Stats().Asking > 0 && time.Since(begun) < 10*time.Second; time.Sleep(time.Millisecond) {
		continue // two's own time is over a moment later
	}
	c.Text("3" + id + `["late"]`)
	if s := r.all[1].sockets.Stats(); s.Asking != 0 || s.StrayAcks != 1 {
		t.Errorf("%+v", s)
	}
}

func TestWhoCannotBeAskedIsSaid(t *testing.T) {
	r := start(t, "one", "two", "three")
	one, two := r.all[0], r.all[1]
	ann := router.Target{User: "ann"}
	for name, c := range map[string]struct {
		to   router.Target
		q    fleet.Question
		code wire.Code
	}{
		"nobody in particular":     {router.Target{}, confirm, wire.InvalidMessage},
		"a user and a connection":  {router.Target{User: "ann", Connection: "c"}, confirm, wire.InvalidMessage},
		"no event":                 {ann, fleet.Question{Wait: time.Second}, wire.InvalidMessage},
		"a reserved event":         {ann, fleet.Question{Event: "connected", Wait: time.Second}, wire.Forbidden},
		"an event of the protocol": {ann, fleet.Question{Event: "disconnect", Wait: time.Second}, wire.InvalidMessage},
		"no JSON":                  {ann, fleet.Question{Event: "e", Data: []byte("x"), Wait: time.Second}, wire.InvalidMessage},
		"too little time":          {ann, fleet.Question{Event: "e", Wait: time.Second - 1}, wire.InvalidMessage},
		"too much time":            {ann, fleet.Question{Event: "e", Wait: 30*time.Second + 1}, wire.InvalidMessage},
	} {
		if _, err := one.Fleet.Ask(t.Context(), c.to, c.q); !wire.IsCode(err, c.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
	nobody := router.Target{Connection: "nobody"}
	if _, err := one.Fleet.Ask(t.Context(), nobody, confirm); !errors.Is(err, router.ErrNoConnection) {
		t.Error(err)
	}
	for _, i := range []*instance{one, two} {
		if _, err := one.Fleet.Ask(t.Context(), router.Target{Connection: i.join("zoe").id()}, confirm); !wire.IsCode(err, wire.Conflict) {
			t.Errorf("a plain client on %s: %v", i.name, err)
		}
	}
	if _, err := one.Fleet.Ask(t.Context(), router.Target{User: "zoe"}, confirm); !wire.IsCode(err, wire.Conflict) {
		t.Errorf("a user with plain clients alone: %v", err)
	}
	big := fleet.Question{Event: "e", Data: []byte(`"` + strings.Repeat("d", 20_000) + `"`), Wait: time.Second}
	if _, err := one.Fleet.Ask(t.Context(), ann, big); !wire.IsCode(err, wire.TooLarge) {
		t.Errorf("more than instances tell each other: %v", err)
	}

	r.away["three"] = true
	if _, err := one.Fleet.Ask(t.Context(), nobody, confirm); !wire.IsCode(err, wire.Unavailable) {
		t.Error(err)
	}
	c := two.socket("ann")
	got := asks(t, one, ann, confirm, func() { c.answer(`["here"]`) })
	if want := lines(c.id+` "here"`, "missing three"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAnInstanceThatDiesMeanwhileIsNotWaitedForLonger(t *testing.T) {
	r := start(t, "one", "two")
	c := r.all[1].socket("ann")
	got := asks(t, r.all[0], router.Target{Connection: c.id}, briefly(), func() {
		id := c.until(`^42(\d+)`)
		r.away["two"] = true // what it tells is lost
		c.Text("3" + id + `["lost"]`)
	})
	if got != c.id+" timeout" {
		t.Errorf("%s", got)
	}
}

func TestQuestionsToAClientAreBounded(t *testing.T) {
	r := start(t, "one", "two")
	one, c := r.all[0], r.all[1].socket("ann")
	to := router.Target{Connection: c.id}
	var questions [2]string
	got := asks(t, one, to, confirm, func() {
		questions[0] = c.until(`^42(\d+)`)
		got := asks(t, one, to, confirm, func() {
			questions[1] = c.until(`^42(\d+)`)
			if _, err := one.Fleet.Ask(t.Context(), to, confirm); !wire.IsCode(err, wire.LimitExceeded) {
				t.Errorf("a third question: %v", err)
			}
			c.Text("3" + questions[1] + `["second"]`)
		})
		if got != c.id+` "second"` {
			t.Error(got)
		}
		c.Text("3" + questions[0] + `["first"]`)
	})
	if got != c.id+` "first"` {
		t.Error(got)
	}
}

func TestAnswersAreBoundedInBytes(t *testing.T) {
	r := start(t, "one", "two")
	here, there := r.all[0].socket("ann"), r.all[1].socket("ann")
	large := `["` + strings.Repeat("a", 9_000) + `"]` // the rig's instances tell each other 10,000 bytes
	got := asks(t, r.all[0], router.Target{User: "ann"}, confirm, func() {
		here.answer(large)
		there.answer(large)
	})
	if want := lines(here.id+" "+strings.Trim(large, "[]"), there.id+" too_large"); got != want {
		t.Errorf("got %.200s", got)
	}

	var all []*socket
	for range 5 {
		all = append(all, r.all[0].socket("bob"))
	}
	huge := `["` + strings.Repeat("b", 1<<20) + `"]`
	got = asks(t, r.all[0], router.Target{User: "bob"}, confirm, func() {
		for _, c := range all {
			c.answer(huge)
		}
	})
	if n := strings.Count(got, "too_large"); n != 2 { // 4 MiB hold three, and their quotes
		t.Errorf("%d answers are said to be too large", n)
	}
}

func TestWhatIsAskedForOthersEndsWithTheInstance(t *testing.T) {
	r := start(t, "one", "two")
	one, two := r.all[0], r.all[1]
	c := two.socket("ann")
	got := asks(t, one, router.Target{Connection: c.id}, briefly(), func() {
		c.until(`^42(\d+)`)
		two.Shutdown()
		if s := two.sockets.Stats(); s.Asking != 0 {
			t.Errorf("%+v", s)
		}
	})
	if got != c.id+" timeout" {
		t.Error(got)
	}
	if _, err := one.Fleet.Ask(t.Context(), router.Target{Connection: c.id}, briefly()); !errors.Is(err, router.ErrNoConnection) {
		t.Errorf("after the shutdown: %v", err)
	}
}

func TestOneInstanceAloneAsksItsOwnClients(t *testing.T) {
	r := start(t, "one")
	i := r.all[0]
	alone := fleet.New(fleet.Parts{Instance: "one", Router: i.router, Hub: i.hub, View: i, Drainer: i, Rebalancer: i})
	defer alone.Shutdown()
	i.Fleet = alone
	c := i.socket("ann")
	if got := asks(t, i, router.Target{User: "ann"}, confirm, func() { c.answer(`["yes"]`) }); got != c.id+` "yes"` {
		t.Error(got)
	}
	if _, err := i.Fleet.Ask(t.Context(), router.Target{Connection: "nobody"}, confirm); !errors.Is(err, router.ErrNoConnection) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := i.Fleet.Ask(ctx, router.Target{User: "ann"}, confirm); err != nil || got.Answers[0].Silence != fleet.Late {
		t.Errorf("the asker has gone: %+v, %v", got, err)
	}
}
