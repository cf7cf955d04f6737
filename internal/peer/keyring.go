package peer

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Vault keeps the secret that instances share.
type Vault interface {
	// Read returns the secret as it is now.
	Read(ctx context.Context) ([]byte, error)
}

const (
	// keyPause is the least time between two looks at the vault.
	keyPause = time.Second
	// keyTime bounds a look, whoever has asked for it and does not wait any more.
	keyTime = time.Second
	// keyEvery is how often it is looked at unasked: whoever deletes the secret
	// wants another one to be in force soon.
	keyEvery = time.Minute
)

// Keyring holds the secret that signs requests between instances, in this
// process's memory too, so that they go on while Redis is away. Make it with
// NewKeyring. Safe for concurrent use.
type Keyring struct {
	// Immutable.
	vault Vault
	log   *zap.Logger

	key atomic.Pointer[[]byte] // nil before the first look has succeeded

	mu    sync.Mutex // held while the vault is asked
	asked time.Time  // guarded by mu: when it was last
	lost  bool       // guarded by mu: it did not answer then
}

// NewKeyring makes a keyring that knows nothing yet.
func NewKeyring(v Vault, log *zap.Logger) *Keyring { return &Keyring{vault: v, log: log} }

// Run keeps the secret up to date until ctx ends.
func (k *Keyring) Run(ctx context.Context) {
	for {
		k.renew(ctx, k.current())
		pause := keyEvery
		if k.current() == nil {
			pause = keyPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// current is the secret as it is known; nil before it is.
func (k *Keyring) current() []byte {
	if key := k.key.Load(); key != nil {
		return *key
	}
	return nil
}

// renew looks at the vault again, as what is known, which the caller gives, was
// refused, and returns what is known then: the same if there is no other, or if
// it was looked at a moment ago.
func (k *Keyring) renew(ctx context.Context, known []byte) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.current(); !bytes.Equal(now, known) || time.Since(k.asked) < keyPause {
		return now
	}
	k.asked = time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keyTime)
	defer cancel()
	key, err := k.vault.Read(ctx)
	switch {
	case err == nil:
		k.key.Store(&key)
	case !k.lost:
		k.log.Warn("peer: the secret that instances share cannot be read", zap.Error(err))
	}
	k.lost = err != nil
	return k.current()
}
