package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/codec/jsonv1"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/transport/pipe"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// places are those of a member, in few words.
func (m *member) places() string {
	var all []string
	m.r.hub.Places(m.s.ID(), func(p wire.Place) {
		all = append(all, fmt.Sprintf("%s %d.%d", p.Room, p.Position.Epoch, p.Position.Offset))
	})
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func TestPlacesAreWhatWasDelivered(t *testing.T) {
	r := start(t)
	defer r.stop()
	a, b := r.user("a"), r.user("b")
	a.join("quiet", wire.Position{})
	expect := func(who *member, want string) {
		t.Helper()
		if got := who.places(); got != want {
			t.Errorf("places %q, want %q", got, want)
		}
	}
	expect(a, "")
	r.deliver(pub("quiet", 1, 1), pub("quiet", 1, 2))
	expect(a, "quiet 1.2")
	r.broker.history = func(_ context.Context, _ string, _ wire.Position, _ int) (broker.Page, error) {
		return broker.Page{Top: wire.Position{Epoch: 1, Offset: 4}}, nil
	}
	b.join("quiet", wire.Position{})
	expect(b, "")          // what the log had is no delivery
	expect(a, "quiet 1.2") // nor is it for others
	r.deliver(pub("quiet", 1, 3))
	expect(b, "")
	expect(a, "quiet 1.3")
	r.deliver(pub("quiet", 1, 4), pub("quiet", 1, 5))
	expect(b, "quiet 1.5")
	r.hub.Gap("quiet", wire.Gap{Reason: "overflow", Top: wire.Position{Epoch: 1, Offset: 9}})
	expect(a, "") // what was told of a hole is not known to have been delivered
	r.deliver(pub("quiet", 1, 10))
	expect(a, "quiet 1.10")
	a.gone()
	expect(a, "")
}

// account is a connection that is told of its session's rooms.
type account struct {
	transport.Conn
	told *[]string
}

func (a account) Entered(p wire.Place) {
	*a.told = append(*a.told, fmt.Sprintf("+%s %d.%d", p.Room, p.Position.Epoch, p.Position.Offset))
}
func (a account) Exited(room string) { *a.told = append(*a.told, "-"+room) }

func TestAConnectionIsToldOfItsSessionsRooms(t *testing.T) {
	r := start(t)
	defer r.stop()
	var told []string
	m := &member{t: t, r: r}
	m.Client = pipe.New(func(c transport.Conn) transport.Handler {
		m.s = session.New(account{c, &told}, session.Hello{Codec: jsonv1.Codec{}}, closer{r.hub})
		r.hub.Add(m.s)
		return m.s
	})
	m.join("quiet", wire.Position{Epoch: 1})
	m.join("x", wire.Position{})
	m.join("x", wire.Position{Epoch: 1})
	r.hub.Leave(m.s, "quiet")
	r.hub.Expel(m.s, "x", wire.Event{Name: "left"})
	r.hub.Leave(m.s, "x")
	m.join("y", wire.Position{})
	m.gone()
	if got, want := strings.Join(told, ", "), "+quiet 1.0, +x 1.0, +x 1.0, -quiet, -x, +y 1.0"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}
