package roomlog

import (
	"context"
	"strconv"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

// move is a slot of a cluster on its way from one node to another.
type move struct {
	*rig
	slot     int64
	from, to *redistest.Server
	ids      [2]string // of from and to
	nodes    []*redistest.Server
}

// beginMove lets the room's slot leave its node.
func beginMove(r *rig, nodes []*redistest.Server) *move {
	r.Helper()
	ctx := r.Context()
	m := &move{rig: r, nodes: nodes}
	m.slot = nodes[0].Client().ClusterKeySlot(ctx, r.log.metaKey(room)).Val()
	for _, n := range nodes {
		if _, err := n.Client().Get(ctx, r.log.metaKey(room)).Result(); fateOf(err) != redirected {
			m.from = n
		} else {
			m.to = n
		}
	}
	m.ids = [2]string{m.from.Client().ClusterMyID(ctx).Val(), m.to.Client().ClusterMyID(ctx).Val()}
	m.set(m.to, "importing", m.ids[0])
	m.set(m.from, "migrating", m.ids[1])
	return m
}

func (m *move) set(n *redistest.Server, state, id string) {
	m.Helper()
	if err := n.Client().Do(m.Context(), "cluster", "setslot", m.slot, state, id).Err(); err != nil {
		m.Fatal(err)
	}
}

// keys moves the keys of the slot.
func (m *move) keys() {
	m.Helper()
	ctx := context.WithoutCancel(m.Context())
	for _, key := range m.from.Client().ClusterGetKeysInSlot(ctx, int(m.slot), 100).Val() {
		err := m.from.Client().Do(ctx, "migrate", "127.0.0.1", strconv.Itoa(m.to.Port()), key, 0, 5000).Err()
		if err != nil {
			m.Fatal(err)
		}
	}
}

// end gives the slot to its new node.
func (m *move) end() {
	m.Helper()
	m.set(m.to, "node", m.ids[1])
	m.set(m.from, "node", m.ids[1])
}

// askMovedSlot lets the slot of a room move while the room is used.
func askMovedSlot(t *testing.T, nodes []*redistest.Server) {
	r := start(t, redistest.ClusterConfig(nodes), Config{})
	p := r.fill(3, kept)
	m := beginMove(r, nodes)

	// While its keys are where they were the room is used there.
	r.offsets(r.page(p[1], broker.NoLimit).Publications, 2, 3)
	if pos := r.publish(r.draft(room, kept)); pos.Epoch != p[3].Epoch || pos.Offset != 4 {
		t.Errorf("went on at %v", pos)
	}
	m.keys()
	// Now they are where the new node would answer for them if asked.
	if pos := r.publish(r.draft(room, kept)); pos.Epoch != p[3].Epoch || pos.Offset != 5 {
		t.Errorf("went on at %v", pos)
	}
	r.offsets(r.page(p[1], broker.NoLimit).Publications, 2, 5)
	// A key that is nowhere can be nowhere yet.
	keyed := r.draft(room, kept)
	keyed.IdempotencyKey = "key"
	r.unavailable(keyed)
	m.end()
	eventually(t, "the slot is found", func() bool {
		_, _, err := r.log.Publish(t.Context(), keyed)
		return err == nil
	})
	r.offsets(r.page(p[1], broker.NoLimit).Publications, 2, 6)
	eventually(t, "the shard is known", func() bool {
		shard, err := r.redis.Shard(t.Context(), room)
		return err == nil && shard.ID() == m.to.Addr()
	})
	if !r.verify(p[3]).Holds {
		t.Error("it does not hold")
	}
	before := r.log.Stats()
	r.publish(r.draft(room, kept))
	if st := r.log.Stats(); st.Retries != before.Retries {
		t.Errorf("%+v", st)
	}
}

// askMovedReplicas does so with publishes that wait for replicas.
func askMovedReplicas(t *testing.T, nodes []*redistest.Server) {
	r := start(t, redistest.ClusterConfig(nodes), Config{})
	p := r.draft(room, kept)
	first := r.publish(p)
	p.Replicated = true
	m := beginMove(r, nodes)
	redistest.ClusterReplica(t, nodes, m.to)
	m.keys()
	m.end()
	eventually(t, "the slot is found", func() bool {
		pos, outcome, err := r.log.Publish(t.Context(), p)
		return err == nil && outcome == Stored && pos.Epoch == first.Epoch && pos.Offset >= 2
	})
}
