package membroker

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	shardCount  = 64
	generations = 65536 / shardCount // buckets of one shard
	spareMost   = 16                 // idle rooms and queue buffers kept for reuse, per shard
	spareQueue  = 64                 // slots of a queue buffer worth keeping
	never       = math.MaxInt64
)

// shard is a part of the rooms and of the keys, with the lock of all of them.
type shard struct {
	b *Broker // immutable

	mu sync.Mutex

	// Guarded by mu.
	rooms       map[string]*room
	peak        int     // most rooms since the map was made
	kept        []*room // rooms with history, in no order: what the sweeper walks
	cursor      int     // where the sweeper goes on
	newest      *room   // the order of use of the rooms in kept
	oldest      *room
	generation  [generations]uint32
	keys        keyring
	spareRooms  []*room
	spareQueues [][]item
	count       counters

	// Written under mu, read by anybody: Broker.since of the oldest room's
	// latest use and of the oldest key's end; never if there is none.
	oldestUse atomic.Int64
	oldestKey atomic.Int64
}

func (s *shard) init(b *Broker) {
	s.b = b
	s.rooms = make(map[string]*room)
	s.keys.records = make(map[digest]keyRecord)
	s.oldestUse.Store(never)
	s.oldestKey.Store(never)
}

// epochOf derives the epoch of a room without metadata. Guarded by mu.
func (s *shard) epochOf(name string, hash uint64) uint64 {
	var gen [4]byte
	binary.LittleEndian.PutUint32(gen[:], *s.generationOf(hash))
	var h maphash.Hash
	h.SetSeed(s.b.epochSeed)
	_, _ = h.WriteString(name)
	_, _ = h.Write(gen[:])
	if e := h.Sum64() & wire.Bits48; e != 0 {
		return e
	}
	return 1
}

func (s *shard) generationOf(hash uint64) *uint32 {
	return &s.generation[hash/shardCount%generations]
}

// open returns the room of a name, made if need be. Guarded by mu.
func (s *shard) open(name string, hash uint64) *room {
	if r := s.rooms[name]; r != nil {
		return r
	}
	var r *room
	if n := len(s.spareRooms); n > 0 {
		r = s.spareRooms[n-1]
		s.spareRooms = s.spareRooms[:n-1]
	} else {
		r = new(room)
	}
	r.name, r.hash, r.home = name, hash, s
	s.rooms[name] = r
	s.peak = max(s.peak, len(s.rooms))
	return r
}

// release forgets a room that holds nothing any more, and the queue buffer of
// one that has nothing to hand over. Guarded by mu.
func (s *shard) release(r *room) {
	if r.scheduled || r.queue.Len() > 0 {
		return
	}
	if buf := r.queue.Reclaim(); buf != nil {
		if len(buf) <= spareQueue && len(s.spareQueues) < spareMost {
			s.spareQueues = append(s.spareQueues, buf)
		}
	}
	if r.kept {
		return
	}
	delete(s.rooms, r.name)
	*r = room{}
	if len(s.spareRooms) < spareMost {
		s.spareRooms = append(s.spareRooms, r)
	}
}

// keep gives a room its metadata. Guarded by mu.
func (s *shard) keep(r *room) {
	r.kept = true
	r.epoch = s.epochOf(r.name, r.hash)
	r.place = len(s.kept)
	s.kept = append(s.kept, r)
	s.link(r)
}

// announce says the epoch of a room that was just given metadata, if its bucket
// ever lost an epoch: a reader may have been given an earlier one for the room
// while it held nothing, and must not meet a new one without a Gap. Guarded by
// mu.
func (s *shard) announce(r *room) {
	if *s.generationOf(r.hash) > 0 {
		s.tell(r, wire.Gap{Reason: reasonEpoch, Top: r.top()})
	}
}

// forget ends a room's epoch: its log and its metadata go, and subscribers are
// told in the room's order. Guarded by mu.
func (s *shard) forget(r *room, reason string) {
	from := r.log.top().offset
	s.unlink(r)
	last := len(s.kept) - 1
	s.kept[r.place] = s.kept[last]
	s.kept[r.place].place = r.place
	s.kept[last] = nil
	s.kept = s.kept[:last]
	s.b.used.Add(-r.charged)
	r.kept, r.epoch, r.log, r.charged = false, 0, logbook{}, 0

	*s.generationOf(r.hash)++
	s.count.gaps++
	s.tell(r, wire.Gap{Reason: reason, From: from, Top: wire.Position{Epoch: s.epochOf(r.name, r.hash)}})
}

// tell queues a Gap that leads to the room's newest epoch. Those that still wait
// lead there too from now on: whoever has read the log since is in that epoch,
// and must not be taken back to an earlier one. Guarded by mu.
func (s *shard) tell(r *room, gap wire.Gap) {
	for i := range r.queue.Len() {
		if ctl := r.queue.At(i).ctl; ctl != nil && ctl.mark == nil {
			ctl.gap.Top = gap.Top
		}
	}
	s.enqueue(r, item{ctl: &control{gap: gap}})
}

// touch makes r the most recently used room. Guarded by mu.
func (s *shard) touch(r *room, since int64) {
	r.used = since
	if s.newest != r {
		s.unlink(r)
		s.link(r)
	}
	s.oldestUse.Store(s.oldest.used)
}

// recharge brings what r counts in the budget up to date. Guarded by mu.
func (s *shard) recharge(r *room) {
	if cost := r.cost(); cost != r.charged {
		s.b.used.Add(cost - r.charged)
		r.charged = cost
	}
}

func (s *shard) link(r *room) {
	r.older, r.newer = s.newest, nil
	if s.newest != nil {
		s.newest.newer = r
	} else {
		s.oldest = r
	}
	s.newest = r
}

func (s *shard) unlink(r *room) {
	if r.newer != nil {
		r.newer.older = r.older
	} else {
		s.newest = r.older
	}
	if r.older != nil {
		r.older.newer = r.newer
	} else {
		s.oldest = r.newer
	}
	r.newer, r.older = nil, nil
	if s.oldest != nil {
		s.oldestUse.Store(s.oldest.used)
	} else {
		s.oldestUse.Store(never)
	}
}
