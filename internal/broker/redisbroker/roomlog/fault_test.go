package roomlog

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// unavailable checks that a publish is answered so.
func (r *rig) unavailable(p broker.Publication) {
	r.Helper()
	pos, outcome, err := r.log.Publish(r.Context(), p)
	if !wire.IsCode(err, wire.Unavailable) || !pos.IsZero() || outcome != 0 {
		r.Errorf("%v, outcome %d, error %v", pos, outcome, err)
	}
}

func TestAnAnswerThatIsLostIsAskedForAgain(t *testing.T) {
	p, cfg := between(t, redistest.Single(t))
	r := start(t, cfg, Config{})
	keyed := r.draft("none", broker.Retention{})
	keyed.IdempotencyKey = "key"
	for _, pub := range []broker.Publication{r.draft(room, kept), keyed} {
		before := r.log.Stats()
		p.loseAnswer("\ns ", 1)
		pos, outcome, err := r.log.Publish(t.Context(), pub)
		if err != nil || outcome != Repeated || pos.Offset != uint64(min(1, pub.Retention.Size)) {
			t.Errorf("%s: %v, outcome %d, %v", pub.Room, pos, outcome, err)
		}
		if st := r.log.Stats(); st.Retries != before.Retries+1 || st.Repeated != before.Repeated+1 {
			t.Errorf("%s: %+v", pub.Room, st)
		}
	}
	if top := r.top(); top.Offset != 1 {
		t.Errorf("top %v", top)
	}
	// To a connection nothing was sent: the caller still has to.
	keyed.Room = wire.ConnectionRoom("id")
	p.loseAnswer("\ns ", 1)
	pos, outcome, err := r.log.Publish(t.Context(), keyed)
	if err != nil || outcome != Stored || !pos.IsZero() {
		t.Errorf("to a connection: %v, outcome %d, %v", pos, outcome, err)
	}
	if _, outcome, err = r.log.Publish(t.Context(), keyed); err != nil || outcome != Repeated {
		t.Errorf("to a connection again: outcome %d, %v", outcome, err)
	}
}

func TestAnAnswerThatIsLostTwiceIsUnavailable(t *testing.T) {
	p, cfg := between(t, redistest.Single(t))
	r := start(t, cfg, Config{})
	first := r.publish(r.draft(room, kept))
	pub := r.draft(room, kept)
	pub.IdempotencyKey = "key"
	p.loseAnswer(epochText(first.Epoch), 2)
	r.unavailable(pub)
	again, outcome, err := r.log.Publish(t.Context(), pub)
	if err != nil || outcome != Repeated || again.Offset != 2 {
		t.Errorf("%v, outcome %d, %v", again, outcome, err)
	}
}

func TestWhatCannotBeRecognisedIsNotRepeated(t *testing.T) {
	p, cfg := between(t, redistest.Single(t))
	r := start(t, cfg, Config{})
	ear := r.listen(room)
	pub := r.draft(room, broker.Retention{})
	p.loseAnswer("\ns ", 1)
	r.unavailable(pub)
	r.publish(pub)
	if first, second := ear.next(), ear.next(); first.Pub == nil || second.Pub == nil || r.log.Stats().Retries != 0 {
		t.Errorf("%+v, %+v, %+v", first, second, r.log.Stats())
	}
}

func TestAReadWhoseAnswerIsLostIsRepeated(t *testing.T) {
	p, cfg := between(t, redistest.Single(t))
	r := start(t, cfg, Config{})
	r.fill(3, kept)
	p.loseAnswer("said", 1)
	r.offsets(r.page(wire.Position{}, broker.NoLimit).Publications, 1, 3)
	if st := r.log.Stats(); st.Retries != 1 {
		t.Errorf("%+v", st)
	}
}

func TestScriptsAreLoadedWhereTheyAreUnknown(t *testing.T) {
	s := redistest.Single(t)
	r := start(t, s.Config(), Config{})
	for range 2 {
		pos := r.publish(r.draft(room, kept))
		r.offsets(r.page(wire.Position{}, broker.NoLimit).Publications, 1, pos.Offset)
		if !r.verify(pos).Holds {
			t.Error("it does not hold")
		}
		if err := s.Client().ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if st := r.log.Stats(); st.Reloads != 4 || st.Retries != 0 {
		t.Errorf("%+v", st)
	}
}

func TestAReplicaTakesNothing(t *testing.T) {
	s := redistest.Single(t)
	r := start(t, s.Config(), Config{})
	ctx := t.Context()
	r.publish(r.draft(room, kept))
	if err := s.Client().Do(ctx, "replicaof", "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	r.unavailable(r.draft(room, broker.Retention{}))
	r.unavailable(r.draft(room, kept))
	if st := r.log.Stats(); st.Retries != 2 || st.Faults != 0 {
		t.Errorf("%+v", st)
	}
	if err := s.Client().Do(ctx, "replicaof", "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	if pos := r.publish(r.draft(room, kept)); pos.Offset != 2 {
		t.Errorf("went on at %v", pos)
	}
}

func TestWithoutMemoryNothingIsStoredButAllIsRead(t *testing.T) {
	s := redistest.Single(t)
	r := start(t, s.Config(), Config{})
	p := r.fill(3, kept)
	if err := s.Client().ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	r.unavailable(r.draft(room, kept))
	r.offsets(r.page(p[1], broker.NoLimit).Publications, 2, 3)
	if !r.verify(p[2]).Holds {
		t.Error("it does not hold")
	}
	if st := r.log.Stats(); st.Retries != 0 || st.Faults != 1 {
		t.Errorf("%+v", st)
	}
	if err := s.Client().ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if pos := r.publish(r.draft(room, kept)); pos.Offset != 4 {
		t.Errorf("went on at %v", pos)
	}
}

func TestForeignKeysAreFaultsThatAreLoggedOnce(t *testing.T) {
	s := redistest.Single(t)
	r := start(t, s.Config(), Config{})
	core, logs := observer.New(zapcore.InfoLevel)
	r.log = New(r.redis, Config{}, zap.New(core))
	c := r.redis.Client()
	for name, spoil := range map[string]func(){
		"other text": func() { c.Set(t.Context(), r.log.metaKey(room), "2 later", 0) },
		"a set":      func() { c.SAdd(t.Context(), r.log.metaKey(room), "x") },
	} {
		c.Del(t.Context(), r.log.metaKey(room))
		spoil()
		r.unavailable(r.draft(room, kept))
		if _, err := r.log.Read(t.Context(), room, wire.Position{}, 0); !wire.IsCode(err, wire.Unavailable) {
			t.Errorf("%s: reading: %v", name, err)
		}
		shard, _ := r.redis.Shard(t.Context(), room)
		if v, err := r.log.Verify(t.Context(), shard, []Claim{{Room: room}}); err != nil || len(v) != 1 || v[0].Err == nil || v[0].Holds {
			t.Errorf("%s: verifying: %+v, %v", name, v, err)
		}
	}
	if n := logs.Len(); n != 1 || r.log.Stats().Faults != 4 || r.log.Stats().Retries != 0 {
		t.Errorf("logged %d times, %+v", n, r.log.Stats())
	}
	if err := r.log.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAfterFlushAllARoomBeginsAnew(t *testing.T) {
	s := redistest.Single(t)
	r := start(t, s.Config(), Config{})
	p := r.draft(room, kept)
	p.IdempotencyKey = "key"
	old := r.publish(p)
	if err := s.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if next := r.publish(p); next.Epoch == old.Epoch || next.Offset != 1 {
		t.Errorf("%v after %v", next, old)
	}
	r.refused(old, "epoch_changed")
}

func TestARedisThatIsAwayIsUnavailable(t *testing.T) {
	s := redistest.Single(t)
	r := start(t, s.Config(), Config{})
	first := r.publish(r.draft(room, kept))
	s.Kill()
	r.unavailable(r.draft(room, kept))
	r.unavailable(r.draft(room, broker.Retention{}))
	if _, err := r.log.Read(t.Context(), room, first, 0); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("reading: %v", err)
	}
	if err := r.log.Notify(t.Context(), room, nil); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("notifying: %v", err)
	}
	shard, _ := r.redis.Shard(t.Context(), room)
	if _, err := r.log.Verify(t.Context(), shard, []Claim{{room, first}}); err == nil {
		t.Error("verified")
	}
	s.Restart()
	eventually(t, "Redis is used again", func() bool {
		_, _, err := r.log.Publish(t.Context(), r.draft(room, kept))
		return err == nil
	})
}

func TestARequestEndsWithItsContext(t *testing.T) {
	s := redistest.Single(t)
	r := start(t, s.Config(), Config{Connections: 1, Batch: 1})
	r.publish(r.draft(room, kept))
	s.Stop()
	before := r.log.Stats().Batches
	ended := make(chan error)
	leaving, leave := context.WithCancel(t.Context())
	for range 3 {
		p := r.draft(room, kept)
		go func() {
			_, _, err := r.log.Publish(leaving, p)
			ended <- err
		}()
	}
	eventually(t, "one is sent and two wait", func() bool {
		st := r.log.Stats()
		return st.Batches == before+1 && st.Waiting == 2
	})
	leave()
	unsent := 0
	for range 3 {
		err := <-ended
		if !wire.IsCode(err, wire.Unavailable) {
			t.Errorf("error %v", err)
		}
		if strings.Contains(err.Error(), "before Redis took it") {
			unsent++
		}
	}
	s.Continue()
	if unsent != 2 {
		t.Errorf("%d were not sent, want 2", unsent)
	}
	// What was not sent is not stored, now or later.
	eventually(t, "the one that was sent is stored", func() bool { return r.top().Offset == 2 })
	if pos := r.publish(r.draft(room, kept)); pos.Offset != 3 {
		t.Errorf("went on at %v", pos)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := r.log.Publish(ctx, r.draft(room, kept)); !wire.IsCode(err, wire.Unavailable) {
		t.Errorf("a context that has ended: %v", err)
	}
}

func TestShutdownRefusesWhatComesAndWaitsForWhatIsUnderWay(t *testing.T) {
	s := redistest.Single(t)
	r := start(t, s.Config(), Config{})
	r.publish(r.draft(room, kept))
	s.Stop()
	published := make(chan error)
	go func() {
		_, _, err := r.log.Publish(t.Context(), r.draft(room, kept))
		published <- err
	}()
	eventually(t, "it is under way", func() bool { return r.log.Stats().Batches > 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := r.log.Shutdown(ctx); err == nil {
		t.Error("Shutdown did not wait")
	}
	s.Continue()
	if err := <-published; err != nil {
		t.Errorf("what was under way: %v", err)
	}
	if err := r.log.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	r.unavailable(r.draft(room, kept))
}

func TestSettingsThatCannotBeAreNamed(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	err := Config{Replicas: 17, WaitTimeout: time.Hour, Connections: 65, Batch: 4097}.Validate()
	for _, want := range []string{
		"REDIS_WAIT_REPLICAS 17: want 1 to 16", "REDIS_WAIT_TIMEOUT 1h0m0s: want 1ms to 1m",
		"REDIS_PUBLISH_CONNECTIONS 65: want 1 to 64", "REDIS_PUBLISH_BATCH 4097: want 1 to 4096",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}
