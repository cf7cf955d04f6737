package roomlog

import (
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// patient gives commands time on a loaded machine.
func patient(cfg redisconn.Config) redisconn.Config {
	cfg.CommandTimeout = 20 * time.Second
	return cfg
}

func TestAReplicatedPublishIsAcknowledgedOnceReplicasHaveIt(t *testing.T) {
	s := redistest.Single(t)
	replica := redistest.Replica(t, s)
	r := start(t, patient(s.Config()), Config{WaitTimeout: 10 * time.Second})
	hasty := open(t, r.redis, Config{WaitTimeout: 50 * time.Millisecond})
	length := func() int64 { return replica.Client().XLen(t.Context(), r.log.logKey(room)).Val() }
	p := r.draft(room, kept)
	p.Replicated = true
	r.publish(p)
	if n := length(); n != 1 {
		t.Errorf("the replica has %d entries", n)
	}

	// Without the replica nothing is acknowledged, though it is stored: with
	// the replica back a repeat is, and stores nothing.
	keyed := r.draft(room, kept)
	keyed.Replicated, keyed.IdempotencyKey = true, "key"
	nonced := r.draft(room, kept)
	nonced.Replicated, nonced.Position.Nonce = true, 4711
	silent := r.draft("none", broker.Retention{})
	silent.Replicated, silent.IdempotencyKey = true, "key"
	for name, p := range map[string]broker.Publication{"with a key": keyed, "with a nonce": nonced, "without history": silent} {
		replica.Stop()
		for range 2 {
			pos, _, err := hasty.Publish(t.Context(), p)
			if !wire.IsCode(err, wire.Unavailable) || !strings.Contains(err.Error(), "replicas") || !pos.IsZero() {
				t.Errorf("%s: %v, %v", name, pos, err)
			}
		}
		replica.Continue()
		if _, outcome, err := r.log.Publish(t.Context(), p); err != nil || outcome != Repeated {
			t.Errorf("%s: the repeat: outcome %d, %v", name, outcome, err)
		}
	}
	if n, top := length(), r.top(); n != 3 || top.Offset != 3 {
		t.Errorf("the replica has %d entries, top %v", n, top)
	}

	// Others do not wait.
	replica.Stop()
	r.publish(r.draft(room, kept))
	plain := r.draft(room, broker.Retention{})
	plain.Replicated = true
	r.publish(plain)
	replica.Continue()
	if st := hasty.Stats(); st.Unreplicated != 6 || st.Unavailable != 6 || st.Faults != 0 {
		t.Errorf("%+v", st)
	}
	if st := r.log.Stats(); st.Unreplicated != 0 || st.Repeated != 3 || st.Faults != 0 {
		t.Errorf("%+v", st)
	}
}

func TestReplicatedPublishesShareAWait(t *testing.T) {
	s := redistest.Single(t)
	redistest.Replica(t, s)
	r := start(t, patient(s.Config()), Config{WaitTimeout: 10 * time.Second})
	const n = 200
	errs := make(chan error)
	for range n {
		p := r.draft(room, kept)
		p.Replicated = true
		go func() {
			_, _, err := r.log.Publish(t.Context(), p)
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if st := r.log.Stats(); st.Waits > n/2 || st.Published != n {
		t.Errorf("%+v", st)
	}
}

func TestAWaitWhoseConnectionBreaksIsRepeated(t *testing.T) {
	s := redistest.Single(t)
	redistest.Replica(t, s)
	p, cfg := between(t, s)
	r := start(t, patient(cfg), Config{WaitTimeout: 10 * time.Second})
	pub := r.draft(room, kept)
	pub.Replicated = true
	r.publish(r.draft(room, kept))
	p.loseAnswer("\n:1\r\n", 1)
	pos, outcome, err := r.log.Publish(t.Context(), pub)
	if err != nil || pos.Offset != 2 || outcome == 0 {
		t.Errorf("%v, outcome %d, %v", pos, outcome, err)
	}
	if st := r.log.Stats(); st.Waits < 2 || r.top().Offset != 2 {
		t.Errorf("%+v, top %v", st, r.top())
	}
}
