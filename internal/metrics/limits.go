package metrics

import (
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/server"
)

// Limits registers the metrics of what is limited and of what is on the way in.
func (r *Registry) Limits(stats func() limit.Stats, load func() gateway.Load, sockets func() server.SocketStats) {
	c := &Collector{}
	c.gauge("handshakes", "Upgrades under way.")
	c.gauge("unauthenticated", "Connections that nobody has authenticated on yet.")
	c.gauge("http_connections", "TCP connections of the public port that are no WebSockets.")
	c.counter("http_connections_refused_total", "TCP connections that were closed at once, since there were too many.")
	c.gauge("limited_addresses", "Addresses whose connections are counted.")
	c.gauge("limited_users", "Users whose connections are counted.")
	c.counters("connections_refused_total", "Connections over a limit of their subject.", "subject", "address", "user")
	c.counters("rate_limited_total", "Messages that were refused for their rate, by kind.", "kind",
		limit.Message.String(), limit.Join.String())
	c.counter("rate_limit_closes_total", "Connections that ended since they went on over their rate.")
	c.read = func(set func(float64)) {
		s, l, tcp := stats(), load(), sockets()
		for _, v := range []int64{
			l.Handshakes, l.Unauthenticated, tcp.Open, tcp.Refused, s.Addresses, s.Users, s.RefusedAddress, s.RefusedUser,
			s.Limited[limit.Message.String()], s.Limited[limit.Join.String()], s.Closed,
		} {
			set(float64(v))
		}
	}
	r.reg.MustRegister(c)
}
