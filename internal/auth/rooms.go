package auth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Rooms asks an auth service about rooms. Make it with NewRooms, end it with
// Close. Safe for concurrent use.
type Rooms struct {
	service *Service
	asking  *flights[Grant]
	answers *cache[Grant]
}

var (
	_ Authorizer = (*Rooms)(nil)
	_ Degraded   = (*Rooms)(nil)
)

// NewRooms makes an Authorizer that shares the connections, and the bound of
// calls at once, of a Service.
func NewRooms(s *Service) *Rooms {
	return &Rooms{
		service: s, asking: newFlights[Grant](s.slots),
		answers: newCache(s.cfg.CacheTTL, s.cfg.CacheBytes, func(Grant) int { return 0 }),
	}
}

// Close ends the questions under way and waits for them.
func (r *Rooms) Close() { r.asking.close() }

// Degraded implements Degraded, of questions about rooms.
func (r *Rooms) Degraded() error { return r.service.authorize.breaker.Err() }

var errRoomUnavailable = wire.NewError(wire.Unavailable, "the auth service could not be asked about the room now; try again later")

// roomQuestion is what the service is sent.
type roomQuestion struct {
	UserID string `json:"userId"`
	Guest  bool   `json:"guest,omitempty"`
	Room   string `json:"room"`
	Action string `json:"action"`
}

// Authorize implements Authorizer. A grant whose end the service does not name
// holds for AUTH_GRANT_TTL. An answer is used again for AUTH_CACHE_TTL at most.
func (r *Rooms) Authorize(ctx context.Context, id *Identity, room, action string, peer netip.Addr) (Grant, error) {
	q := roomQuestion{UserID: id.UserID, Guest: id.Guest, Room: room, Action: action}
	name, err := json.Marshal(q)
	if err != nil {
		return Grant{}, errRoomUnavailable
	}
	key := DigestOf(string(name))
	if g, found := r.answers.get(key); found {
		r.service.stats.cached.Add(1)
		return g, nil
	}
	g, err := r.asking.do(ctx, key, func(call context.Context) (Grant, error) {
		return r.ask(tracing.Carry(call, ctx), key, q, peer)
	})
	if err != nil {
		r.service.stats.unavailable.Add(1)
		return Grant{}, errRoomUnavailable
	}
	return g, nil
}

// ask asks the service and remembers the answer.
func (r *Rooms) ask(ctx context.Context, key Digest, q roomQuestion, peer netip.Addr) (Grant, error) {
	if g, found := r.answers.get(key); found {
		return g, nil
	}
	var g Grant
	err := r.service.authorize.ask(ctx, question{body: q, peer: peer, again: true}, func(body []byte) (err error) {
		g, err = r.grant(body)
		return err
	})
	var refused refusedError
	switch {
	case errors.As(err, &refused) && int(refused) != http.StatusForbidden:
		err = outageError{why: refused.Error(), well: true} // it refuses the gateway, not the user
		r.service.authorize.note(err)
		return Grant{}, err
	case err != nil && refused == 0:
		return Grant{}, err
	}
	r.answers.put(key, g, g.Until) // no grant when it was refused
	return g, nil
}

// grant reads {"allowed": …} and {"data": {"allowed": …}}, and when it ends.
func (r *Rooms) grant(body []byte) (Grant, error) {
	now := time.Now()
	said, err := read(body, now)
	if err != nil {
		return Grant{}, err
	}
	for _, o := range said.top {
		switch {
		case said.refused:
			return Grant{}, nil
		case o.says("allowed", false):
			return Grant{}, nil
		case o.says("allowed", true) && said.expires.IsZero():
			return Grant{Allowed: true, Until: now.Add(r.service.cfg.GrantTTL)}, nil
		case o.says("allowed", true):
			return Grant{Allowed: said.expires.After(now), Until: said.expires}, nil
		}
	}
	return Grant{}, errGarbage
}
