package redisbroker

import (
	"sync"
	"sync/atomic"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// durability is what is known of a publish that waits for replicas. What it
// publishes arrives here before they have it, and would acknowledge it.
type durability struct{ state atomic.Int32 }

const (
	waiting int32 = iota
	durable
	doubtful
)

// undecided tells whether the publish is under way; nil is decided.
func (d *durability) undecided() bool { return d != nil && d.state.Load() == waiting }

// confirm returns the publication as it may be delivered.
func (d *durability) confirm(p *wire.Publication) *wire.Publication {
	if d == nil || d.state.Load() == durable {
		return p
	}
	unconfirmed := *p
	unconfirmed.Unconfirmed = true
	return &unconfirmed
}

// durables are the durable publishes under way on this instance. Their nonces
// are random: two of a kind in different rooms do not happen.
type durables struct {
	count   atomic.Int64
	mu      sync.Mutex
	byNonce map[uint64]*durability // guarded by mu
}

// begin registers a publish; end says how it ended.
func (d *durables) begin(nonce uint64) *durability {
	d.mu.Lock()
	defer d.mu.Unlock()
	it := &durability{}
	if d.byNonce == nil {
		d.byNonce = make(map[uint64]*durability)
	}
	d.byNonce[nonce] = it
	d.count.Add(1)
	return it
}

func (d *durables) end(nonce uint64, it *durability, ok bool) {
	state := doubtful
	if ok {
		state = durable
	}
	it.state.Store(state)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count.Add(-1)
	if d.byNonce[nonce] == it {
		delete(d.byNonce, nonce)
	}
}

// find returns the publish with a nonce that is under way, nil if there is none.
func (d *durables) find(nonce uint64) *durability {
	if d.count.Load() == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byNonce[nonce]
}

// veil marks those of a page that are not known to be durable: to be read from
// the log is no acknowledgement.
func (d *durables) veil(page []*wire.Publication) {
	if d.count.Load() == 0 {
		return
	}
	for i, p := range page {
		if it := d.find(p.Position.Nonce); it != nil {
			page[i] = it.confirm(p)
		}
	}
}
