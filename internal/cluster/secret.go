package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
)

// leastSecret is how many letters and digits a secret has at least: one that is
// shorter was not made here, and is not to be relied upon.
const leastSecret = 40

var errWeakSecret = fmt.Errorf("the secret that instances share in Redis has fewer than %d characters: delete its key", leastSecret)

// Secret is what all instances of a fleet know, and nobody without access to
// their Redis. Whoever asks first makes it. It is made anew when its key was
// deleted or lost. Safe for concurrent use.
type Secret struct {
	client redis.UniversalClient
	key    string
}

// NewSecret names a secret. Names are constants of the program.
func NewSecret(m *redisconn.Manager, name string) *Secret {
	return &Secret{client: m.Client(), key: m.Key("secret", instancesTag) + ":" + name}
}

// Read returns the secret as it is in Redis now, in letters and digits. It must
// not be logged. The error is Redis's, or says that there is no secret worth the
// name.
func (s *Secret) Read(ctx context.Context) ([]byte, error) {
	secret, err := s.client.Get(ctx, s.key).Bytes()
	if errors.Is(err, redis.Nil) {
		// Of two instances that come at once both read the first one's.
		if err = s.client.SetNX(ctx, s.key, rand.Text()+rand.Text(), 0).Err(); err == nil {
			secret, err = s.client.Get(ctx, s.key).Bytes()
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the secret that instances share: %w", err)
	case len(secret) < leastSecret:
		return nil, errWeakSecret
	}
	return secret, nil
}
