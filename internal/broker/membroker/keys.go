package membroker

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/moonx-farm/ws-gateway/internal/broker/handoff"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// maxKey is the longest idempotency key in bytes.
const maxKey = 128

// digest is the first half of a SHA-256.
type digest [16]byte

// keyRecord is what is remembered of a publish with an idempotency key.
type keyRecord struct {
	content digest
	pos     wire.Position
	ends    int64 // Broker.since when it is forgotten
}

// keyEnd is a key's place in the order of their ends.
type keyEnd struct {
	id   digest
	ends int64
}

// keyring holds the idempotency keys of a shard's rooms: whether the room
// keeps history or not, and past the end of its epoch. Guarded by its shard's
// mu.
type keyring struct {
	records map[digest]keyRecord
	order   handoff.Ring[keyEnd] // all keys live equally long: the order of making is that of ending
	peak    int                  // most records since the map was made
}

// hasher computes digests without allocating; the Broker keeps a pool.
type hasher struct {
	hash hash.Hash
	buf  []byte
}

func newHasher() *hasher { return &hasher{hash: sha256.New(), buf: make([]byte, 0, 512)} }

// sum is the digest of the fields, each with its length, and of data.
func (h *hasher) sum(data []byte, fields ...string) digest {
	b := h.buf[:0]
	for _, f := range fields {
		b = binary.AppendUvarint(b, uint64(len(f)))
		b = append(b, f...)
	}
	h.hash.Reset()
	_, _ = h.hash.Write(b)
	_, _ = h.hash.Write(data)
	h.buf = h.hash.Sum(b[:0])
	return digest(h.buf)
}

// identify computes what a keyed publish is known by.
func (b *Broker) identify(p *wire.Publication) (id, content digest) {
	h, _ := b.hashers.Get().(*hasher)
	id = h.sum(nil, p.Room, p.Publisher, p.IdempotencyKey)
	content = h.sum(p.Data, p.Event, p.ConflateKey)
	b.hashers.Put(h)
	return id, content
}

// remember stores the result of a keyed publish. Guarded by mu.
func (s *shard) remember(t *ticket, pos wire.Position, since int64) {
	ends := since + int64(s.b.cfg.IdempotencyTTL)
	s.keys.records[t.id] = keyRecord{content: t.content, pos: pos, ends: ends}
	s.keys.order.Push(keyEnd{t.id, ends})
	s.keys.peak = max(s.keys.peak, len(s.keys.records))
	s.b.used.Add(keyCost)
	s.b.usedKeys.Add(keyCost)
	s.oldestKey.Store(s.keys.order.At(0).ends)
}

// expireKeys forgets at most most keys that have ended. Guarded by mu.
func (s *shard) expireKeys(since int64, most int) {
	for ; most > 0 && s.keys.order.Len() > 0 && s.keys.order.At(0).ends <= since; most-- {
		s.dropKey()
	}
}

// dropKey forgets the oldest key; there is one. A key that ended and was made
// anew before its end came up stands in the order twice. Guarded by mu.
func (s *shard) dropKey() {
	old := s.keys.order.Pop()
	if s.keys.records[old.id].ends == old.ends {
		delete(s.keys.records, old.id)
	}
	s.b.used.Add(-keyCost)
	s.b.usedKeys.Add(-keyCost)
	if s.keys.order.Len() > 0 {
		s.oldestKey.Store(s.keys.order.At(0).ends)
	} else {
		s.oldestKey.Store(never)
	}
}
