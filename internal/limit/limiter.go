package limit

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// ErrUser is told to a user who has as many connections as one may.
var ErrUser = wire.NewError(wire.LimitExceeded, "the user has as many connections as one may have")

// Limiter hands out accounts. Make it with New. Safe for concurrent use.
type Limiter struct {
	// Immutable after New.
	cfg       Config
	birth     time.Time
	addresses *register[netip.Addr] // nil: not counted
	users     *register[string]     // nil: not counted
	rates     rates

	fleet Fleet // set before the first account; nil on a single instance

	refusedAddress, refusedUser atomic.Int64
	limited                     [kinds]atomic.Int64
	closed                      atomic.Int64
}

// rates are those of the configuration.
type rates struct{ message, userMessage, join, userJoin rate }

// New makes a limiter of a valid configuration.
func New(cfg Config) *Limiter {
	l := &Limiter{cfg: cfg, birth: time.Now()}
	if cfg.MaxPerAddress > 0 {
		l.addresses = newRegister[netip.Addr](cfg.MaxPerAddress)
	}
	if cfg.MaxPerUser > 0 || cfg.RateLimiting {
		l.users = newRegister[string](cfg.MaxPerUser)
	}
	if cfg.RateLimiting {
		l.rates = rates{
			message: perSecond(cfg.MessageRate, cfg.RateBurst), userMessage: perSecond(cfg.UserMessageRate, cfg.RateBurst),
			join: perSecond(cfg.JoinRate, cfg.RateBurst), userJoin: perSecond(cfg.UserJoinRate, cfg.RateBurst),
		}
	}
	return l
}

// Open opens the account of a connection that comes from an address, which
// need not be valid. It returns false when the address has as many connections
// as one may. The account is nil when nothing is limited; else its owner
// closes it.
func (l *Limiter) Open(from netip.Addr) (*Account, bool) {
	if l.addresses == nil && l.users == nil {
		return nil, true
	}
	a := &Account{limiter: l}
	if l.addresses != nil && from.IsValid() {
		from = subnet(from)
		if s, _ := l.addresses.enter(from); s == nil {
			l.refusedAddress.Add(1)
			return nil, false
		}
		a.address = from
	}
	return a, true
}

// subnet is what one client can choose its addresses from: all of a /64 in
// IPv6 (RFC 6177 section 2), one address in IPv4.
func subnet(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr
	}
	p, err := addr.Prefix(64)
	if err != nil {
		return addr // not reached: every IPv6 address has 64 bits
	}
	return p.Addr()
}

func (l *Limiter) now() int64 { return int64(time.Since(l.birth)) }

// Stats is a snapshot of a limiter.
type Stats struct {
	Addresses, Users            int64 // counted now
	RefusedAddress, RefusedUser int64 // connections, since the start
	// Limited counts messages that were refused, by kind.
	Limited map[string]int64
	Closed  int64 // connections that went on all the same
}

// Stats returns the counters.
func (l *Limiter) Stats() Stats {
	s := Stats{
		RefusedAddress: l.refusedAddress.Load(), RefusedUser: l.refusedUser.Load(),
		Closed: l.closed.Load(), Limited: make(map[string]int64, kinds),
	}
	if l.addresses != nil {
		s.Addresses = int64(l.addresses.size())
	}
	if l.users != nil {
		s.Users = int64(l.users.size())
	}
	for k := range kinds {
		s.Limited[k.String()] = l.limited[k].Load()
	}
	return s
}
