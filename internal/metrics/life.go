package metrics

import "github.com/moonx-farm/ws-gateway/internal/router"

// life registers the metrics of the life of identities and grants.
func (r *Registry) life(stats func() router.Stats) {
	c := &Collector{}
	c.counter("tokens_expired_total", "Connections that ended with their token.")
	c.counter("tokens_outlived_total", "Connections that outlived their token while it could not be renewed.")
	c.counter("revoked_connections_total", "Connections that a revocation ended.")
	c.gauge("revocations", "Revoked users and tokens that are remembered.")
	c.gauge("grants", "Memberships that the auth service granted for a time.")
	c.counter("grants_asked_total", "Questions to the auth service who may join a room.")
	c.counter("grants_withdrawn_total", "Memberships that ended as they were not granted again.")
	c.read = func(set func(float64)) {
		s := stats()
		for _, v := range []int64{s.Expired, s.Graced, s.Revoked, s.Revocations, s.Grants, s.Asked, s.Withdrawn} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}
