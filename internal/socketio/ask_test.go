package socketio

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// asker is what sessions see of a socket.
type asker interface {
	Ask(event string, data []byte, answered func(data []byte, err error)) (withdraw func(), err error)
}

// told is what came of a question.
type told struct {
	mu  sync.Mutex
	got []string // guarded by mu
}

func (a *told) take(data []byte, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		data = []byte(err.Error())
	}
	a.got = append(a.got, string(data))
}

func (a *told) is(t *testing.T, want ...string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if fmt.Sprint(a.got) != fmt.Sprint(want) || len(a.got) != len(want) {
		t.Errorf("answered %q, want %q", a.got, want)
	}
}

var askID = regexp.MustCompile(`^(4(?:2|51-)(?:/\w+,)?)(\d+)(\[.*)$`)

// asked asks, and returns the id that the client was told.
func (p *part) asked(c *client, event, data string, to *told, want string) (id string, withdraw func()) {
	c.t.Helper()
	withdraw, err := p.Conn.(asker).Ask(event, []byte(data), to.take)
	if err != nil {
		c.t.Fatal(err)
	}
	sent := c.Sent()
	if len(sent) == 0 {
		c.t.Fatal("the client was sent nothing")
	}
	m := askID.FindStringSubmatch(string(sent[0].Payload()))
	if m == nil || m[1]+"_"+m[3] != want {
		c.t.Fatalf("sent %s, want %s", sent[0].Payload(), want)
	}
	return m[2], withdraw
}

func TestAClientIsAskedAndAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		c, p := r.join()
		var one, two, three told
		id1, _ := p.asked(c, "confirm", `{"a":1}`, &one, `42_["confirm",{"a":1}]`)
		id2, _ := p.asked(c, "confirm", `2`, &two, `42_["confirm",2]`)
		id3, _ := p.asked(c, "bytes", `{"_binary":true,"base64":"AQI="}`, &three, `451-_["bytes",{"_placeholder":true,"num":0}]`)
		if s := r.server.Stats(); s.Asking != 3 || s.Asked != 3 || id1 == id2 || id2 == id3 {
			t.Errorf("%+v; ids %s %s %s", s, id1, id2, id3)
		}
		c.ask("3" + id2 + `["yes",{"n":1}]`) // in any order
		two.is(t, `["yes",{"n":1}]`)
		c.ask("3" + id1 + `[]`)
		one.is(t, "")
		c.ask("61-" + id3 + `[{"_placeholder":true,"num":0}]`)
		three.is(t)
		c.binary("\x00")
		three.is(t, `{"_binary":true,"base64":"AA=="}`)
		c.ask("3" + id1 + `["again"]`) // the library never does
		one.is(t, "")
		c.ask(`2["goes on"]`)
		if p.heard() != `2["goes on"]` {
			t.Errorf("heard %q", p.heard())
		}
		c.ended(0)
		if s := r.server.Stats(); s.Asking != 0 || s.Asked != 3 || s.Answered != 3 || s.StrayAcks != 1 {
			t.Errorf("%+v", s)
		}
		c.bye()
		r.empty()
	})
}

func TestALateAnswerIsDroppedAndCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		c, p := r.join()
		var late, next told
		id, withdraw := p.asked(c, "confirm", `1`, &late, `42_["confirm",1]`)
		withdraw()
		withdraw()
		again, _ := p.asked(c, "confirm", `1`, &next, `42_["confirm",1]`)
		for _, stray := range []string{id, "0", "4294967296", "9007199254740991"} {
			c.ask("3" + stray + `["late"]`)
		}
		late.is(t)
		next.is(t)
		c.ask("3" + again + `["in time"]`)
		next.is(t, `"in time"`)
		if s := r.server.Stats(); s.Asking != 0 || s.StrayAcks != 4 || s.Answered != 1 {
			t.Errorf("%+v", s)
		}
		c.ended(0)
		c.bye()
	})
}

func TestAQuestionEndsWithItsSocket(t *testing.T) {
	gone := ErrGone.Error()
	for name, end := range map[string]func(*client, *part){
		"the client leaves":        func(c *client, _ *part) { c.Text("1") },
		"the connection is cut":    func(c *client, _ *part) { c.bye() },
		"the gateway ends it":      func(_ *client, p *part) { p.Close(wire.Close{Code: wire.CloseDisconnected}) },
		"the client breaks a rule": func(c *client, _ *part) { c.Text("nonsense"); c.bye() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				c, p := r.join()
				var one, two told
				id, withdraw := p.asked(c, "confirm", `1`, &one, `42_["confirm",1]`)
				p.asked(c, "confirm", `2`, &two, `42_["confirm",2]`)
				end(c, p)
				one.is(t, gone)
				two.is(t, gone)
				withdraw()
				if s := r.server.Stats(); s.Asking != 0 {
					t.Errorf("%+v", s)
				}
				if _, err := p.Conn.(asker).Ask("confirm", nil, one.take); err == nil || err.Error() != gone {
					t.Errorf("asked afterwards: %v", err)
				}
				if _, over := c.Ended(); !over {
					if name == "the gateway ends it" { // the client may not know yet
						c.Text("3" + id + `["late"]`)
						if s := r.server.Stats(); s.StrayAcks != 1 {
							t.Errorf("%+v", s)
						}
					}
					c.bye()
				}
				one.is(t, gone)
				r.empty()
			})
		})
	}
}

func TestSocketsOfOneConnectionAreAskedApart(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		c, p := r.join()
		c.ask("0/chat", `40/chat,{"sid":_}`, `42/chat,["hello",null]`)
		chat := r.session(1)
		var root, other told
		id, _ := p.asked(c, "confirm", `1`, &root, `42_["confirm",1]`)
		idChat, _ := chat.asked(c, "confirm", `1`, &other, `42/chat,_["confirm",1]`)
		c.ask("3/chat," + id + `["elsewhere"]`)
		root.is(t)
		other.is(t)
		c.ask("3/chat," + idChat + `["there"]`)
		c.ask("3" + id + `["here"]`)
		root.is(t, `"here"`)
		other.is(t, `"there"`)
		c.ask("3/chat," + id) // without data
		c.ended(wire.CloseProtocolError)
	})
}

func TestQuestionsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.server.cfg.MaxAsks, r.server.cfg.MaxAllAsks = 2, 3
		a, ann := r.join()
		b, bob := r.join()
		var all told
		ids := map[string]bool{}
		id, withdraw := ann.asked(a, "e", `1`, &all, `42_["e",1]`)
		ids[id] = true
		id, _ = ann.asked(a, "e", `1`, &all, `42_["e",1]`)
		ids[id] = true
		refuse := func(p *part, event string, want error) {
			t.Helper()
			if _, err := p.Conn.(asker).Ask(event, nil, all.take); err == nil || err.Error() != want.Error() {
				t.Errorf("%v, want %v", err, want)
			}
		}
		refuse(ann, "e", errAsked)
		id, _ = bob.asked(b, "e", `1`, &all, `42_["e",1]`)
		ids[id] = true
		refuse(bob, "e", errAskedAll)
		withdraw()
		id, _ = bob.asked(b, "e", `1`, &all, `42_["e",1]`)
		ids[id] = true
		if len(ids) != 4 {
			t.Errorf("an id was used again: %v", ids)
		}
		refuse(bob, "disconnect", errAskName)
		all.is(t)
		a.bye()
		b.bye()
		all.is(t, strings.Split(strings.Repeat(ErrGone.Error()+"\n", 3), "\n")[:3]...)
	})
}

func TestAWrongAcknowledgementEndsTheConnection(t *testing.T) {
	for name, send := range map[string]func(c *client){
		"no id":                    func(c *client) { c.Text(`3["a"]`) },
		"no array":                 func(c *client) { c.Text(`37{"a":1}`) },
		"no JSON":                  func(c *client) { c.Text(`37[a]`) },
		"a namespace without it":   func(c *client) { c.Text(`3/chat,7[1]`) },
		"an attachment of nothing": func(c *client) { c.Text(`61-7[{"_placeholder":true,"num":1}]`); c.binary("x") },
		"a too large attachment":   func(c *client) { c.Text(`61-7[{"_placeholder":true,"num":0}]`); c.binary(strings.Repeat("x", 1001)) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				c, p := r.join()
				var a told
				p.asked(c, "e", `1`, &a, `42_["e",1]`)
				send(c)
				synctest.Wait()
				if _, over := c.Ended(); !over {
					t.Error("the connection goes on")
				}
				a.is(t, ErrGone.Error())
			})
		})
	}
}

// TestQuestionsAndEndsAtOnce is for the race detector: nobody is told twice, and
// nothing stays.
func TestQuestionsAndEndsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		const n = 200
		c, p := r.join()
		var sum told
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				for range n {
					withdraw, err := p.Conn.(asker).Ask("e", nil, sum.take)
					if err == nil && len(c.Sent())%2 == 0 {
						withdraw()
					}
				}
			})
		}
		asking.Go(func() {
			for i := range n {
				c.Text(fmt.Sprintf("3%d[1]", i))
			}
			c.bye()
		})
		asking.Wait()
		r.empty()
		if s := r.server.Stats(); s.Asking != 0 {
			t.Errorf("%+v", s)
		}
	})
}
