package router

import (
	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// measured is a publish that is timed and traced.
type measured struct {
	timing monitor.Span
	trace  tracing.Span
}

// measure begins to time and to trace a client's publish.
func (r *Router) measure(s *session.Session, p *broker.Publication) measured {
	m := measured{timing: r.monitor.Begin(monitor.Publish)}
	if r.tracer != nil { // else the rule is not looked up again
		m.trace = r.tracer.Publish(r.ctx, patternOf(p.Room, r.rule(p.Room)), s.ID(), len(p.Data))
	}
	return m
}

// end ends both.
func (m measured) end(err error) {
	m.timing.End()
	m.trace.End(err)
}

// patternOf names a room in spans: there are too many rooms, and users' names
// are in some.
func patternOf(room string, rule *policy.Room) string {
	switch {
	case rule != nil && rule.Match != "":
		return rule.Match
	case room == wire.Everyone:
		return "everyone"
	}
	return "connection"
}
