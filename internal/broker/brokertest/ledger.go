package brokertest

import (
	"sync"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// ledger is the truth about one room that publishers and readers agree on: what
// stands at which position. Whoever comes first writes it down, everybody else
// must find the same.
type ledger struct {
	fail func(format string, args ...any)

	mu      sync.Mutex
	entries map[place]entry // guarded by mu
}

type place struct{ epoch, offset uint64 }

type entry struct {
	nonce    uint64
	from, nr int // the publisher, and which of its messages
}

func (l *ledger) note(who string, pos wire.Position, from, nr int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, e := place{pos.Epoch, pos.Offset}, entry{pos.Nonce, from, nr}
	if known, ok := l.entries[at]; ok && known != e {
		l.fail("%s: at %v stands %+v, which is %+v to others", who, pos, e, known)
		return
	}
	l.entries[at] = e
}

// size is how many positions are known.
func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}
