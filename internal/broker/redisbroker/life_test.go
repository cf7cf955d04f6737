package redisbroker

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/brokertest"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker/roomlog"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestManySubscriptionsShareCommands(t *testing.T) {
	t.Parallel()
	r := assemble(t, 1, Config{})
	n := r.nodes[0]
	const rooms = 5000
	var wg sync.WaitGroup
	for i := range rooms {
		wg.Go(func() {
			if err := n.Subscribe(t.Context(), fmt.Sprint("room-", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	st := n.Stats()
	if st.Live < rooms || st.Commands > rooms/10 {
		t.Errorf("%+v", st)
	}
	t.Logf("%d commands for %d channels", st.Commands, st.Subscriptions)
	r.redis.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "all are back", func() bool { s := n.Stats(); return s.Reconnects == 1 && s.Live >= rooms })
	if again := n.Stats().Commands - st.Commands; again > rooms/commandRooms+3 {
		t.Errorf("%d commands for a new connection", again)
	}
}

func TestAMemberWhoComesBackAtOnceCostsNoCommand(t *testing.T) {
	t.Parallel()
	r := assemble(t, 1, Config{})
	n := r.nodes[0]
	r.subscribe(lobby)
	before := n.Stats()
	for range 100 {
		if err := n.Unsubscribe(t.Context(), lobby); err != nil {
			t.Fatal(err)
		}
		if err := n.Subscribe(t.Context(), lobby); err != nil {
			t.Fatal(err)
		}
	}
	if after := n.Stats(); after.Commands != before.Commands {
		t.Errorf("%d commands", after.Commands-before.Commands)
	}
	if err := n.Unsubscribe(t.Context(), lobby); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the room is forgotten", func() bool { return n.find(lobby) == nil })
}

func TestSubscribingWaitsForRedisWithinItsContext(t *testing.T) {
	t.Parallel()
	r := assemble(t, 1, Config{})
	n := r.nodes[0]
	eventually(t, "everyone is listened to", func() bool { return n.Stats().Live == 1 })
	r.redis.Kill()
	eventually(t, "the connection is lost", func() bool { return n.Stats().Live == 0 })
	if err := n.Subscribe(soon(t, 50*time.Millisecond), lobby); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("error %v", err)
	}
	done := make(chan error)
	go func() { done <- n.Subscribe(t.Context(), lobby) }()
	r.redis.Restart()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWhatIsForEveryoneReachesEveryNode(t *testing.T) {
	t.Parallel()
	r := assemble(t, 3, Config{})
	for _, n := range r.nodes {
		eventually(t, "everyone is listened to", func() bool { return n.Stats().Live == 1 })
	}
	p := r.draft(wire.Everyone, broker.Retention{})
	for range 2 {
		p.IdempotencyKey = "key"
		if _, err := r.nodes[0].Publish(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range r.nodes {
		if err := n.Quiesce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if pubs := n.sink.Pubs(wire.Everyone, 1); len(pubs) != 1 || pubs[0].Position.Epoch != 0 {
			t.Errorf("delivered %d: %+v", len(pubs), *pubs[0])
		}
	}
}

func TestWhatIsForOneConnectionStaysOnItsNodeAndIsDeduplicated(t *testing.T) {
	t.Parallel()
	r := assemble(t, 2, Config{})
	room := wire.ConnectionRoom("conn")
	if err := r.nodes[0].Subscribe(t.Context(), room); err != nil {
		t.Fatal(err)
	}
	p := r.draft(room, broker.Retention{})
	p.IdempotencyKey = "key"
	for range 3 {
		if pos, err := r.nodes[0].Publish(t.Context(), p); err != nil || !pos.IsZero() {
			t.Fatal(pos, err)
		}
	}
	p.IdempotencyKey, p.Data = "", []byte(`"end"`)
	if _, err := r.nodes[0].Publish(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	events := r.nodes[0].sink.Until(room, `"end"`)
	if len(events) != 2 || events[0].Pub.Time == 0 || events[0].Pub.Room != room {
		t.Errorf("delivered %+v", events)
	}
	eventually(t, "the room is forgotten", func() bool { return r.nodes[0].find(room) == nil })
	if n := len(r.nodes[1].sink.Events(room)); n != 0 {
		t.Errorf("%d events on the other node", n)
	}
}

// hearer takes notices.
type hearer struct {
	*brokertest.Recorder
	heard chan string
}

func (h hearer) Notice(room string, payload []byte) { h.heard <- room + " " + string(payload) }

func TestNoticesReachTheSinkAndThoseOfTheFleetTheListener(t *testing.T) {
	t.Parallel()
	m := redistest.NewManager(t, redistest.Single(t).Config())
	b := New(m, Config{}, zap.NewNop())
	m.Start()
	sink := hearer{brokertest.NewRecorder(t), make(chan string, 10)}
	listener := hearer{nil, make(chan string, 10)}
	b.UseListener(listener)
	if err := b.Notify(t.Context(), lobby, nil); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("before the start: %v", err)
	}
	b.Start(sink)
	t.Cleanup(func() {
		if err := b.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, room := range []string{lobby, "!fleet"} {
		if err := b.Subscribe(t.Context(), room); err != nil {
			t.Fatal(err)
		}
		if err := b.Notify(t.Context(), room, []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-sink.heard; got != "lobby hello" {
		t.Error(got)
	}
	if got := <-listener.heard; got != "!fleet hello" {
		t.Error(got)
	}
}

func TestADurablePublicationIsDeliveredOnceItsReplicasHaveIt(t *testing.T) {
	t.Parallel()
	r := assemble(t, 0, Config{})
	replica := redistest.Replica(t, r.redis)
	at := r.redis.Config()
	at.Prefix = prefix()
	cfg := Config{Log: roomlog.Config{Replicas: 1, WaitTimeout: time.Second}}
	here, there := r.add(at, cfg), r.add(at, cfg)
	r.subscribe(lobby)

	p := r.draft(lobby, kept)
	p.Replicated = true
	if _, err := here.Publish(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if pubs := here.sink.Pubs(lobby, 1); pubs[0].Unconfirmed {
		t.Error("the first is delivered as unconfirmed")
	}

	replica.Stop()
	p = r.draft(lobby, kept)
	p.Replicated, p.IdempotencyKey = true, "key"
	failed := make(chan error)
	go func() {
		_, err := here.Publish(t.Context(), p)
		failed <- err
	}()
	there.sink.Pubs(lobby, 2) // others see it at once
	page, err := here.History(t.Context(), lobby, wire.Position{}, broker.NoLimit)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(page.Publications); n == 2 && !page.Publications[1].Unconfirmed && here.durable.count.Load() > 0 {
		t.Error("what is read before it is durable counts as confirmed")
	}
	if err := <-failed; !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("without its replica: %v", err)
	}
	if pubs := here.sink.Pubs(lobby, 2); !pubs[1].Unconfirmed {
		t.Error("the second is delivered as confirmed")
	}
	replica.Continue()
	eventually(t, "the repeat is durable", func() bool {
		pos, err := here.Publish(t.Context(), p)
		return err == nil && pos.Offset == 2
	})
}

func TestQuiesceWaitsForWhatOthersHavePublished(t *testing.T) {
	t.Parallel()
	r := assemble(t, 2, Config{})
	r.subscribe(lobby)
	for range 200 {
		r.say(r.nodes[0], lobby, kept)
	}
	if err := r.nodes[1].Quiesce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(r.nodes[1].sink.Events(lobby)); n != 200 {
		t.Errorf("%d handed over", n)
	}
	goOn := r.nodes[1].sink.Stall(lobby)
	r.say(r.nodes[0], lobby, kept)
	if err := r.nodes[1].Quiesce(soon(t, 100*time.Millisecond)); err == nil {
		t.Error("quiet while the Sink stalls")
	}
	goOn()
}

func TestNothingWorksBeforeStartAndAfterShutdown(t *testing.T) {
	t.Parallel()
	m := redistest.NewManager(t, redistest.Single(t).Config())
	b := New(m, Config{}, zap.NewNop())
	m.Start()
	refuses := func(when string) {
		p := broker.Publication{}
		p.Room, p.Event = lobby, "said"
		_, published := b.Publish(t.Context(), p)
		_, read := b.History(t.Context(), lobby, wire.Position{}, 0)
		for what, err := range map[string]error{"publish": published, "history": read, "subscribe": b.Subscribe(t.Context(), lobby)} {
			if !wire.IsCode(err, wire.Unavailable) {
				t.Errorf("%s: %s: %v", when, what, err)
			}
		}
	}
	refuses("before the start")
	b.Start(brokertest.NewRecorder(t))
	for range 2 {
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	b.Start(brokertest.NewRecorder(t)) // too late: nothing happens
	refuses("after the shutdown")
	if err := b.Quiesce(t.Context()); err != nil && !wire.IsCode(err, wire.Unavailable) {
		t.Error(err)
	}
}

func TestSettingsAreCheckedWithTheirNames(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Error(err)
	}
	err := Config{HandoffBytes: 1, Batch: 1 << 20}.Validate()
	want := "BROKER_HANDOFF_BYTES 1: want at least 1024\nBROKER_BATCH 1048576: want 1 to 4096"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}
