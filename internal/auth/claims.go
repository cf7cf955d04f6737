package auth

import (
	"encoding/json"
	"slices"

	"go.uber.org/zap"
)

// claimKeeper chooses what of a user is kept for upstreams. Safe for concurrent
// use.
type claimKeeper struct {
	only  []string // empty: all
	stats *counters
	log   *zap.Logger

	noted rarely
}

// keep sets the claims of id to the fields of user, except one. More than
// MaxClaims are left out as a whole: nobody must take half of them for all.
func (c *claimKeeper) keep(id *Identity, user object, except string) {
	kept := object{}
	for key, value := range user {
		if key != except && (len(c.only) == 0 || slices.Contains(c.only, key)) {
			kept[key] = value
		}
	}
	if len(kept) == 0 {
		return
	}
	claims, err := json.Marshal(kept)
	if err == nil && len(claims) <= MaxClaims {
		id.Claims = claims
		return
	}
	c.stats.oversize.Add(1)
	if c.noted.again() {
		c.log.Warn("a user's claims are left out, they are too large: name those to keep in AUTH_CLAIMS",
			zap.String("user", id.UserID), zap.Int("maxBytes", MaxClaims))
	}
}
