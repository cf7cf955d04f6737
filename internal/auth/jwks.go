package auth

import (
	"context"
	"encoding/json"
	"slices"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/fault"
)

const (
	// keysEvery is when keys are fetched again: one that was withdrawn is
	// accepted for that long.
	keysEvery = 10 * time.Minute
	// keysLeast is the least time between two fetches: tokens may name keys
	// that nobody has at any rate.
	keysLeast = 5 * time.Second
	// maxKeys is how many keys of a set are read.
	maxKeys = 100
)

// keySet holds the public keys of a URL (RFC 7517). It fetches them when they
// are asked for: the first time, when they are old, and when a token names one
// that it does not have. It reads keys with jwkset, but not its client: that
// one does not bound answers, and drops all keys for one that it cannot read.
// Safe for concurrent use.
type keySet struct {
	// Immutable.
	endpoint *endpoint
	fetching *flights[*keys]

	held atomic.Pointer[keys] // nil until the first fetch
}

// keys are the keys of one fetch. Immutable.
type keys struct {
	all []publicKey
	at  time.Time
}

type publicKey struct {
	id, algorithm string // as the set names them; empty: any
	key           any
}

func newKeySet(url string, c *client, stats *counters, log *zap.Logger) *keySet {
	e := newEndpoint(c, breakerKeys, "GET", url, stats, log)
	// There is one question, so one failure says as much as five.
	e.breaker = fault.NewBreaker(breakerKeys, fault.BreakerSettings{
		Failures: 1, OpenFor: keysLeast, Log: log,
		Judge: func(err error) fault.Outcome {
			if err == nil {
				return fault.Answered
			}
			return max(fault.Judge(err), fault.Failed)
		},
	})
	return &keySet{endpoint: e, fetching: newFlights[*keys](make(slots, 1))}
}

// find returns the keys that a token may be signed with. No keys and no error:
// the set has none such. The error says that it could not be fetched.
func (k *keySet) find(ctx context.Context, id, algorithm string) (jwt.VerificationKeySet, error) {
	held := k.held.Load()
	if held == nil {
		var err error
		if held, err = k.fetch(ctx); err != nil {
			return jwt.VerificationKeySet{}, err
		}
	}
	age := time.Since(held.at)
	found := held.find(id, algorithm)
	switch {
	case len(found.Keys) == 0 && age >= keysLeast:
		fresh, err := k.fetch(ctx)
		if err != nil {
			return jwt.VerificationKeySet{}, err // it may be a new one
		}
		return fresh.find(id, algorithm), nil
	case age >= keysEvery:
		k.begin() // what is held goes on to hold while the keys cannot be had
	}
	return found, nil
}

func (k *keys) find(id, algorithm string) (found jwt.VerificationKeySet) {
	for _, key := range k.all {
		if (id == "" || key.id == id) && (key.algorithm == "" || key.algorithm == algorithm) {
			found.Keys = append(found.Keys, key.key)
		}
	}
	return found
}

// fetch gets the keys, once for all who wait for them.
func (k *keySet) fetch(ctx context.Context) (*keys, error) {
	return k.fetching.do(ctx, Digest{}, k.get)
}

// begin gets the keys without waiting for them.
func (k *keySet) begin() { k.fetching.join(Digest{}, k.get) }

func (k *keySet) get(ctx context.Context) (*keys, error) {
	if held := k.held.Load(); held != nil && time.Since(held.at) < keysLeast {
		return held, nil // by the fetch that has ended since the caller looked
	}
	var got *keys
	err := k.endpoint.ask(ctx, question{again: true}, func(body []byte) (err error) {
		got, err = keysOf(body)
		return err
	})
	if err != nil {
		return nil, err
	}
	k.held.Store(got)
	return got, nil
}

// keysOf reads a set. Keys that are not for signatures or that nobody here can
// use are left out; a set without any other is garbage.
func keysOf(body []byte) (*keys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(body, &set) != nil {
		return nil, errGarbage
	}
	k := &keys{at: time.Now()}
	for _, raw := range set.Keys[:min(len(set.Keys), maxKeys)] {
		// Without Private it takes no symmetric key, and no private one.
		jwk, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil || jwk.Marshal().USE == jwkset.UseEnc {
			continue
		}
		if ops := jwk.Marshal().KEYOPS; len(ops) > 0 && !slices.Contains(ops, jwkset.KeyOpsVerify) {
			continue
		}
		k.all = append(k.all, publicKey{jwk.Marshal().KID, jwk.Marshal().ALG.String(), jwk.Key()})
	}
	if len(k.all) == 0 {
		return nil, outageError{why: "the answer holds no key for signatures"}
	}
	return k, nil
}
