package membroker

import (
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/handoff"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// dedupWindow is how many of the newest entries a nonce is compared with.
const dedupWindow = 64

// The reasons of broker.InsufficientStateError.
const (
	reasonEpoch   = "epoch_changed"
	reasonTrimmed = "trimmed"
	reasonExpired = "expired"
	reasonChanged = "entry_changed"
	reasonAhead   = "ahead"
)

// entry is one kept publication. The nonce is repeated beside the pointer so
// that comparing a window of them touches one piece of memory.
type entry struct {
	nonce uint64
	pub   *wire.Publication
}

const entrySlot = 16 // bytes of an entry in the ring

// mark names an entry within an epoch; the zero mark is the beginning.
type mark struct {
	offset uint64
	nonce  uint64
}

// logbook is the log of one room: the entries after trimmed, without a hole.
// Guarded by its shard's mu.
type logbook struct {
	ring    handoff.Ring[entry]
	bytes   int64 // cost of the entries
	trimmed mark  // the newest entry that is gone
	why     string
}

// top marks the newest entry ever appended.
func (l *logbook) top() mark {
	if l.ring.Len() == 0 {
		return l.trimmed
	}
	return mark{l.trimmed.offset + uint64(l.ring.Len()), l.ring.At(l.ring.Len() - 1).nonce} //nolint:gosec // a length
}

// append adds pub, whose position is complete.
func (l *logbook) append(pub *wire.Publication) {
	l.ring.Push(entry{pub.Position.Nonce, pub})
	l.bytes += publicationCost(pub)
}

// trim takes the oldest entry away and remembers it as the trim mark.
func (l *logbook) trim(why string) {
	e := l.ring.Pop()
	l.bytes -= publicationCost(e.pub)
	l.trimmed = mark{l.trimmed.offset + 1, e.nonce}
	l.why = why
}

// limit trims down to size entries and to maxBytes, but keeps the newest one.
func (l *logbook) limit(size int, maxBytes int64) {
	trimmed := false
	for l.ring.Len() > size || l.bytes > maxBytes && l.ring.Len() > 1 {
		l.trim(reasonTrimmed)
		trimmed = true
	}
	if trimmed {
		l.ring.Compact()
	}
}

// expire trims at most most entries that are age old at nowMS (Unix
// milliseconds), and returns how many.
func (l *logbook) expire(age time.Duration, nowMS int64, most int) int {
	if age <= 0 {
		return 0
	}
	n, bound := 0, nowMS-age.Milliseconds()
	for n < most && l.ring.Len() > 0 && l.ring.At(0).pub.Time <= bound {
		l.trim(reasonExpired)
		n++
	}
	if n > 0 {
		l.ring.Compact()
	}
	return n
}

// find looks for a nonce among the newest entries and the trim mark.
func (l *logbook) find(nonce uint64) (mark, bool) {
	for i := l.ring.Len() - 1; i >= max(0, l.ring.Len()-dedupWindow); i-- {
		if l.ring.At(i).nonce == nonce {
			return mark{l.trimmed.offset + uint64(i) + 1, nonce}, true //nolint:gosec // an index
		}
	}
	return l.trimmed, l.trimmed.nonce == nonce && l.trimmed.offset > 0
}

// resume tells at which index the entries after since begin, or why it cannot
// be resumed from there. The epoch has been compared.
func (l *logbook) resume(since mark) (int, error) {
	switch top := l.top(); {
	case since.offset > top.offset:
		return 0, &broker.InsufficientStateError{Reason: reasonAhead}
	case since.offset < l.trimmed.offset:
		return 0, &broker.InsufficientStateError{Reason: l.why}
	}
	index, known := int(since.offset-l.trimmed.offset), l.trimmed //nolint:gosec // at most the ring's length
	if index > 0 {
		known = mark{since.offset, l.ring.At(index - 1).nonce}
	}
	if known.nonce != since.nonce {
		return 0, &broker.InsufficientStateError{Reason: reasonChanged}
	}
	return index, nil
}

// page copies at most limit publications from index on; a negative limit means
// all of them.
func (l *logbook) page(index, limit int) []*wire.Publication {
	n := l.ring.Len() - index
	if limit >= 0 {
		n = min(n, limit)
	}
	if n == 0 {
		return nil
	}
	pubs := make([]*wire.Publication, n)
	for i := range pubs {
		pubs[i] = l.ring.At(index + i).pub
	}
	return pubs
}
