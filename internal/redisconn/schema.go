package redisconn

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// schemaVersion is the order of keys that this version of the gateway reads
// and writes. It changes only when an older gateway would misread them.
const schemaVersion = 1

// schemaEvery is how often it is looked at while nothing happens: whoever
// empties Redis takes it away.
const schemaEvery = 10 * time.Second

// schema is what is known of the order of keys in Redis. Safe for concurrent
// use.
type schema struct {
	found atomic.Int32 // one of the constants below
	at    atomic.Int64 // when it was last looked at, in Unix nanoseconds
}

const (
	schemaUnknown = iota
	schemaOurs
	schemaNewer
)

func (s *schema) ours() bool  { return s.found.Load() == schemaOurs }
func (s *schema) newer() bool { return s.found.Load() == schemaNewer }

func (s *schema) due() bool {
	return !s.ours() || time.Since(time.Unix(0, s.at.Load())) > schemaEvery
}

// checkSchema finds or leaves the version of the keys' order. When that fails
// what was known before stays.
func (m *Manager) checkSchema(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	key := m.cfg.Prefix + "schema"
	found, err := m.client.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		// Of two gateways that come at once the second finds it at its next look.
		found = strconv.Itoa(schemaVersion)
		err = m.client.SetNX(ctx, key, found, 0).Err()
	}
	if err != nil {
		return
	}
	m.schema.at.Store(time.Now().UnixNano())
	now := int32(schemaOurs)
	if n, err := strconv.Atoi(found); err != nil || n > schemaVersion {
		now = schemaNewer
	}
	if before := m.schema.found.Swap(now); before != now && now == schemaNewer {
		m.log.Error("redis holds data of a newer version of the gateway, which this one does not touch")
	}
}
