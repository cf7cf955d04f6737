package socketio

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestASocketIsConnectedToBeforeAnythingElse(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		c := r.open()
		if n := r.server.Waiting(); n != 1 {
			t.Errorf("%d wait", n)
		}
		c.ask(`0{"token":"t","more":[1]}`, `40{"sid":_}`, `42["hello",null]`)
		a := r.connects[0]
		if a.Auth.Token != "t" || string(a.Data) != `{"token":"t","more":[1]}` || a.Codec.Namespace() != "/" || len(a.SID) != 16 || a.Identity != nil {
			t.Errorf("%+v", a)
		}
		if n := r.server.Waiting(); n != 0 {
			t.Errorf("%d wait", n)
		}
		c.ask(`2["say",1]`)
		c.ask(`25["say",1,2]`)
		if got := r.session(0).heard(); got != `2["say",1]`+"\n"+`25["say",1,2]` {
			t.Errorf("heard %s", got)
		}
		time.Sleep(time.Hour)
		c.ended(0)
		c.bye()
		if code := r.session(0).over(); code != wire.CloseNoStatus {
			t.Errorf("ended with %d", code)
		}
		r.empty()
	})
}

func TestNamespacesHaveSocketsOfTheirOwn(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		c, root := r.join()
		c.ask(`0/chat`, `40/chat,{"sid":_}`, `42/chat,["hello",null]`)
		chat := r.session(1)
		if who := r.connects[1].Identity; who != root.id {
			t.Errorf("the connection is %v's", who)
		}
		if r.connects[0].SID == r.connects[1].SID {
			t.Error("two sockets have one id")
		}
		c.ask(`2/chat,["a"]`)
		c.ask(`2["b"]`)
		if root.heard() != `2["b"]` || chat.heard() != `2/chat,["a"]` {
			t.Errorf("%s, %s", root.heard(), chat.heard())
		}
		c.ask(`1/chat,`)
		if chat.over() != wire.CloseNoStatus || root.over() != 0 || chat.Send(said(r.connects[1], "late")) {
			t.Error("a DISCONNECT ends its own socket, and at once")
		}
		c.ask(`2["c"]`)
		c.ask(`0/chat,{}`, `40/chat,{"sid":_}`, `42/chat,["hello",null]`)
		c.ask(`0/other,{}`, `44/other,{"message":"Invalid namespace"}`)
		c.ask(`1`)
		c.ask(`1/chat`)
		time.Sleep(time.Hour)
		c.ended(0) // who leaves keeps the connection
		if s := r.server.Stats(); s.Waiting != 1 || s.Sockets != 0 || s.Connects != 3 || s.Refused != 1 {
			t.Errorf("%+v", s)
		}
		c.ask(`0`, `40{"sid":_}`, `42["hello",null]`)
		c.bye()
		r.empty()
	})
}

func TestWhatIsSentBehindAConnectWaitsForTheAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.wait = func(context.Context) { time.Sleep(time.Second) }
		c := r.open()
		c.Text(`0`)
		c.Text(`2["early"]`)
		c.Text(`0/chat,`)
		c.ask("")
		time.Sleep(3 * time.Second)
		c.ask("", `40{"sid":_}`, `42["hello",null]`, `40/chat,{"sid":_}`, `42/chat,["hello",null]`)
		if got := r.session(0).heard(); got != `2["early"]` {
			t.Errorf("heard %q", got)
		}
		c.bye()
		r.empty()
	})
}

func TestARefusalIsToldInWords(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.admit = func(Connect) error {
			return &wire.Error{Code: wire.Unavailable, Message: `come "later"`, Reason: "x"}
		}
		c := r.open()
		c.ask(`0`, `44{"message":"come \"later\"","data":{"code":"unavailable","retryable":true,"reason":"x"}}`)
		r.admit = func(Connect) error { return errors.New("secret") }
		c.ask(`0/chat,`, `44/chat,{"message":"the connection cannot be decided about now","data":{"code":"unavailable","retryable":true}}`)
		c.ask(`0{"token":7}`, `44{"message":"\"auth\" is an object; its \"token\", \"pid\" and \"offset\" are strings and its \"since\" an object, each at most once","data":{"code":"invalid_message","retryable":false}}`)
		r.admit = nil
		c.ask(`0{}`, `40{"sid":_}`, `42["hello",null]`)
		r.admit = func(Connect) error { return LeaveError{wire.Close{Code: wire.CloseServiceRestart, Reason: "drain"}} }
		c.ask(`0/chat,`)
		c.ended(wire.CloseServiceRestart)
		if code := r.session(0).over(); code != wire.CloseServiceRestart {
			t.Errorf("ended with %d", code)
		}
		r.empty()
	})
}

func TestAClaimCountsUntilAConnectIsAdmitted(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.admit = func(Connect) error { return wire.NewError(wire.Unauthenticated, "no") }
		c := r.open(Handshake{Claim: &Claim{Token: "t"}})
		c.Text(`0`)
		synctest.Wait()
		r.admit = nil
		c.Text(`0`)
		synctest.Wait()
		c.Text(`0/chat,`)
		synctest.Wait()
		if a := r.connects; a[0].Claim == nil || a[1].Claim == nil || a[2].Claim != nil || a[1].Identity != nil || a[2].Identity == nil {
			t.Errorf("%+v", a)
		}
		c.bye()
	})
}

func TestWhoConnectsToNothingIsDisconnected(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		c := r.open()
		time.Sleep(9 * time.Second)
		c.ask(`0/other`, `44/other,{"message":"Invalid namespace"}`)
		c.ended(0)
		time.Sleep(2 * time.Second)
		c.ended(wire.CloseUnauthenticated)
		r.wait = func(context.Context) { time.Sleep(15 * time.Second) }
		late := r.open()
		late.Text(`0`)
		time.Sleep(14 * time.Second)
		late.ended(0)
		time.Sleep(2 * time.Second)
		late.ask("", `40{"sid":_}`, `42["hello",null]`)
		time.Sleep(time.Minute)
		late.ended(0)
		late.bye()
		r.empty()
	})
}

func TestTheGatewayEndsASocketOrTheConnection(t *testing.T) {
	for code, whole := range map[wire.CloseCode]bool{
		wire.CloseDisconnected: false, wire.CloseUnauthenticated: false,
		wire.CloseTokenExpired: true, wire.CloseTooSlow: true, wire.CloseLimit: true,
		wire.CloseServiceRestart: true, wire.CloseTryAgainLater: true, wire.CloseGoingAway: true, wire.CloseProtocolError: true,
	} {
		inBubble(t, func(t *testing.T, r *rig) {
			c, root := r.join()
			c.ask(`0/chat`, `40/chat,{"sid":_}`, `42/chat,["hello",null]`)
			chat := r.session(1)
			chat.Send(said(r.connects[1], "last"))
			chat.Close(wire.Close{Code: code})
			chat.Close(wire.Close{Code: 4242})
			if chat.Send(said(r.connects[1], "late")) {
				t.Errorf("%d: something follows the end", code)
			}
			if whole {
				c.ask("", `42/chat,["last",null]`)
				c.ended(code)
				if root.over() != code || chat.over() != code {
					t.Errorf("%d: %d, %d", code, root.over(), chat.over())
				}
				r.empty()
				return
			}
			c.ask("", `42/chat,["last",null]`, `41/chat,`)
			c.ask(`2/chat,["late"]`) // the client does not know yet
			c.ask(`3/chat,1[]`)
			if root.over() != 0 || chat.over() != code || chat.heard() != "" {
				t.Errorf("%d: %d, %d, %s", code, root.over(), chat.over(), chat.heard())
			}
			c.ask(`0/chat`, `40/chat,{"sid":_}`, `42/chat,["hello",null]`)
			root.Close(wire.Close{Code: code})
			r.session(2).Close(wire.Close{Code: code})
			c.ask("", "41", "41/chat,")
			time.Sleep(9 * time.Second)
			c.ended(0)
			time.Sleep(2 * time.Second)
			c.ended(wire.CloseUnauthenticated)
			r.empty()
		})
	}
}

func TestASessionIsToldOfItsEndOnceItReceivesNoMore(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.receive = func(p *part, text string) bool {
			p.Close(wire.Close{Code: wire.CloseDisconnected})
			synctest.Wait()
			if p.over() != 0 {
				t.Error("told while it receives")
			}
			return true
		}
		c, root := r.join()
		c.ask(`2["a"]`, "41")
		if root.over() != wire.CloseDisconnected {
			t.Errorf("ended with %d", root.over())
		}
		r.open2(c)
		c.bye()
		r.empty()
	})
}

// open2 ends a socket while its session is being made.
func (r *rig) open2(c *client) {
	r.open2Code(c, wire.CloseDisconnected, `40{"sid":_}`, `42["hello",null]`, `41`)
}

func (r *rig) open2Code(c *client, code wire.CloseCode, want ...string) {
	r.t.Helper()
	r.play.open = func(p *part) { p.Close(wire.Close{Code: code}) }
	c.ask(`0`, want...)
	if p := r.session(len(r.sessions) - 1); p.over() != code {
		r.t.Errorf("ended with %d", p.over())
	}
}

func TestAConnectionMayEndWhileItsSocketIsMade(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.open2Code(r.open(), wire.CloseTokenExpired, `40{"sid":_}`, `42["hello",null]`)
		r.play.open = nil
		var given error
		r.wait = func(ctx context.Context) { <-ctx.Done(); given = ctx.Err() }
		c := r.open()
		c.Text(`0`)
		synctest.Wait()
		c.bye()
		if given == nil || len(r.sessions) != 1 {
			t.Errorf("%v, %d sessions", given, len(r.sessions))
		}
		r.empty()
	})
}

func TestARequestThatWaitsHoldsTheConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.receive = func(p *part, text string) bool { return !strings.Contains(text, "slow") }
		c, root := r.join()
		c.ask(`0/chat`, `40/chat,{"sid":_}`, `42/chat,["hello",null]`)
		c.ask(`2["slow"]`)
		c.ask(`2/chat,["next"]`)
		if got := r.session(1).heard(); got != "" {
			t.Errorf("heard %s", got)
		}
		root.Close(wire.Close{Code: wire.CloseDisconnected})
		c.ask("", "41")
		root.Resume() // its request ends after it
		synctest.Wait()
		if got := r.session(1).heard(); got != `2/chat,["next"]` {
			t.Errorf("heard %q", got)
		}
		c.bye()
		r.empty()
	})
}

func TestViolationsEndTheConnection(t *testing.T) {
	for name, messages := range map[string][]string{
		"no packet":                        {"abc"},
		"an event before a CONNECT":        {`!2["a"]`},
		"a binary event before a CONNECT":  {`!51-["a",{"_placeholder":true,"num":0}]`},
		"data before a CONNECT":            {`!b`},
		"a second CONNECT":                 {`0`},
		"a CONNECT with other data":        {`0/chat,7`},
		"a CONNECT with broken data":       {`0/chat,{`},
		"another namespace's event":        {`2/chat,["a"]`},
		"another namespace's DISCONNECT":   {`1/chat`},
		"another namespace's ack":          {`3/chat,1[]`},
		"a DISCONNECT with data":           {`1{}`},
		"a DISCONNECT twice":               {`1`, `1`},
		"an ack without id":                {`3[]`},
		"an ack without data":              {`31{}`},
		"a CONNECT_ERROR":                  {`4{"message":"m"}`},
		"binary without an event":          {`b`},
		"text for an attachment":           {`51-["a",{"_placeholder":true,"num":0}]`, `2["b"]`},
		"a placeholder of no attachment":   {`51-["a",{"_placeholder":true,"num":1}]`, `b`},
		"too many attachments":             {`511-["a"]`},
		"an event after the last is left":  {`1`, `2["a"]`},
		"an attachment's packet malformed": {`51-{}`},
	} {
		inBubble(t, func(t *testing.T, r *rig) {
			c := r.open()
			if !strings.HasPrefix(messages[0], "!") {
				c.ask(`0`, `40{"sid":_}`, `42["hello",null]`)
			}
			for _, m := range messages {
				if m = strings.TrimPrefix(m, "!"); m == "b" {
					c.binary("data")
				} else {
					c.ask(m)
				}
			}
			if why, _ := c.Ended(); why.Code != wire.CloseProtocolError {
				t.Errorf("%s: closed with %v", name, why)
			}
			r.empty()
		})
	}
}

func TestBinaryEventsArePutTogether(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		c, root := r.join()
		c.ask(`52-7["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]`)
		c.binary("x")
		time.Sleep(14 * time.Second)
		c.binary("")
		if got := root.heard(); got != `27["a",{"_binary":true,"base64":""},{"_binary":true,"base64":"eA=="}]` {
			t.Errorf("heard %s", got)
		}
		c.ask(`61-3[{"_placeholder":true,"num":0}]`)
		c.binary("x")
		c.ask(`33[1,2]`)
		time.Sleep(time.Hour)
		c.ended(0)
		c.ask(`51-["a",{"_placeholder":true,"num":0}]`)
		time.Sleep(16 * time.Second)
		c.ended(wire.ClosePolicyViolation)

		big, _ := r.join()
		big.ask(`51-["a",{"_placeholder":true,"num":0}]`)
		big.binary(strings.Repeat("x", 1000))
		big.ended(wire.CloseTooBig)
		r.empty()
	})
}

func TestASocketIsEndedWhileAttachmentsAreAwaited(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		c, root := r.join()
		c.ask(`51-["a",{"_placeholder":true,"num":0}]`)
		root.Close(wire.Close{Code: wire.CloseDisconnected})
		c.ask("", "41")
		c.binary("x")
		if root.heard() != "" {
			t.Errorf("heard %s", root.heard())
		}
		time.Sleep(9 * time.Second)
		c.ended(0)
		time.Sleep(2 * time.Second)
		c.ended(wire.CloseUnauthenticated)
		r.empty()
	})
}

func TestWhoFloodsWithPacketsIsDisconnected(t *testing.T) {
	for _, packet := range []string{`0/other,`, `31[]`} {
		inBubble(t, func(t *testing.T, r *rig) {
			limits := limit.New(limit.Config{RateLimiting: true, MessageRate: 1, UserMessageRate: 1, JoinRate: 1, UserJoinRate: 1, RateBurst: 2 * time.Second})
			account, _ := limits.Open(netip.Addr{})
			c := r.open(Handshake{Account: account})
			c.ask(`0`, `40{"sid":_}`, `42["hello",null]`)
			for range 20 {
				c.Text(packet)
				synctest.Wait()
			}
			c.ended(wire.CloseLimit)
			r.empty()
		})
	}
}

func TestThoseWithoutASocketCanBeDismissed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		served, _ := r.join()
		waits := r.open()
		r.server.Dismiss(wire.Close{Code: wire.CloseServiceRestart})
		waits.ended(wire.CloseServiceRestart)
		served.ended(0)
		served.bye()
		r.empty()
	})
}

func TestNobodyIsServedDuringShutdown(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.wait = func(ctx context.Context) { <-ctx.Done() }
		r.admit = func(Connect) error { return wire.NewError(wire.Unavailable, "no") }
		asking := r.open()
		asking.Text("0")
		synctest.Wait()
		r.server.Shutdown()
		asking.ask("", `44{"message":"no","data":{"code":"unavailable","retryable":true}}`)
		late := r.open()
		late.ask("0")
		late.ended(wire.CloseGoingAway)
		asking.bye()
	})
}

func TestSocketsKnowWhetherTheyAreAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		alone := func(c transport.Conn) bool { return c.(interface{ Alone() bool }).Alone() }
		c, root := r.join()
		if !alone(root.Conn) {
			t.Error("one is not alone")
		}
		c.ask(`0/chat`, `40/chat,{"sid":_}`, `42/chat,["hello",null]`)
		if alone(root.Conn) || alone(r.session(1).Conn) {
			t.Error("two are alone")
		}
		c.ask(`1/chat`)
		if !alone(root.Conn) {
			t.Error("who is left is not alone")
		}
		root.Abort()
		c.ended(wire.CloseAbnormal)
	})
}

func TestSettingsAreChecked(t *testing.T) {
	for _, good := range [][]string{nil, {"/chat", "/a b", "/"}} {
		if err := (Config{Namespaces: good}).Validate(); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"chat", "", "/a,b", "/a?b", "/a\n", "/" + strings.Repeat("x", 128), "/\xff"} {
		err := (Config{Namespaces: []string{"/ok", bad}}).Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "SOCKETIO_NAMESPACES ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := (Config{Namespaces: make([]string, 101)}).Validate(); err == nil {
		t.Error("101 namespaces")
	}
}

func TestAttachmentsAreSentDirectlyBehindTheirEvent(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		c, root := r.join()
		event := r.connects[0].Codec.Event(wire.Event{Name: "e", Data: []byte(`{"_binary":true,"base64":"eA=="}`)})
		plain := said(r.connects[0], "p")
		root.Send(event)
		root.SendAll([]*wire.Frame{plain, event, event, plain})
		const lead = `451-["e",{"_placeholder":true,"num":0}]`
		c.ask("", lead, "bx", `42["p",null]`, lead, "bx", lead, "bx", `42["p",null]`)
		c.bye()
	})
}
