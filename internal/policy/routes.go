package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// eventSeparators end a segment of an event's name.
const eventSeparators = ".:/"

// Routes finds the route of an event. Immutable.
type Routes struct {
	literal map[string]*Route // events named without a wildcard
	wild    []*Route          // the most specific first
	all     []*Route
}

// Lookup returns the route of an event, nil without one. It does not allocate
// and remembers nothing.
func (r *Routes) Lookup(event string) *Route {
	if r == nil {
		return nil
	}
	if route := r.literal[event]; route != nil {
		return route
	}
	for _, route := range r.wild {
		if route.match.matches(event) {
			return route
		}
	}
	return nil
}

// All lists the routes in the document's order.
func (r *Routes) All() []*Route { return r.all }

// compileRoutes checks all entries of routes.
func compileRoutes(rules []RouteRule) (*Routes, error) {
	out := &Routes{literal: map[string]*Route{}}
	if len(rules) > MaxRoutes {
		return out, fmt.Errorf("policy: %d routes, at most %d", len(rules), MaxRoutes)
	}
	var faults []error
	for i, rule := range rules {
		if err := out.add(rule); err != nil {
			faults = append(faults, fmt.Errorf("policy: routes[%d] %q: %w", i, rule.Match, err))
		}
	}
	if len(out.wild) > MaxRouteWildcards {
		return out, errors.Join(append(faults,
			fmt.Errorf("policy: %d routes with wildcards, at most %d", len(out.wild), MaxRouteWildcards))...)
	}
	patterns := make([]pattern, len(out.wild))
	for i, r := range out.wild {
		patterns[i] = r.match
	}
	faults = append(faults, ambiguities("routes", patterns, func(s string) bool { return out.literal[s] != nil }))
	slices.SortStableFunc(out.wild, func(a, b *Route) int { return a.match.compare(b.match) })
	return out, errors.Join(faults...)
}

func (r *Routes) add(rule RouteRule) error {
	route, err := compileRoute(rule)
	err = errors.Join(err, reservedMatch(rule.Match))
	switch {
	case route.match == nil:
	case route.match.wild():
		r.wild = append(r.wild, route)
	case r.literal[rule.Match] != nil:
		err = errors.Join(err, errors.New("is written twice"))
	default:
		r.literal[rule.Match] = route
	}
	r.all = append(r.all, route)
	return err
}

// parseEventPattern reads a match of routes. Unlike rooms, events have any
// name, and '.' separates too.
func parseEventPattern(s string) (pattern, error) {
	if s == "" || len(s) > wire.MaxEventName || !utf8.ValidString(s) {
		return nil, fmt.Errorf("match must be text of 1 to %d bytes", wire.MaxEventName)
	}
	return splitPattern(s, eventSeparators)
}

// matches tells whether an event's name is one of the pattern's.
func (p pattern) matches(event string) bool {
	for i, t := range p {
		if i > 0 {
			if event == "" || event[0] != t.sep {
				return false
			}
			event = event[1:]
		}
		if t.text == moreSegments {
			return true
		}
		end := segmentEnd(event)
		if t.text != oneSegment && t.text != event[:end] {
			return false
		}
		event = event[end:]
	}
	return event == ""
}

// segmentEnd is the length of the first segment of an event's name.
func segmentEnd(event string) int {
	if i := strings.IndexAny(event, eventSeparators); i >= 0 {
		return i
	}
	return len(event)
}

// wildcards counts the wildcards of a pattern.
func (p pattern) wildcards() int {
	n := 0
	for _, t := range p {
		if t.text == oneSegment || t.text == moreSegments {
			n++
		}
	}
	return n
}

// wildcard returns what the nth wildcard, from 1, stands for in an event that
// the pattern matches.
func (p pattern) wildcard(n int, event string) string {
	for i, t := range p {
		if i > 0 {
			event = event[1:]
		}
		end := segmentEnd(event)
		if t.text == moreSegments {
			return event
		}
		if t.text == oneSegment {
			if n--; n == 0 {
				return event[:end]
			}
		}
		event = event[end:]
	}
	return ""
}

// compare orders patterns so that the first of those that match an event is
// the most specific: segment by segment a literal, "*", "**".
func (p pattern) compare(q pattern) int {
	rank := func(t token) int {
		switch t.text {
		case oneSegment:
			return 1
		case moreSegments:
			return 2
		}
		return 0
	}
	for i := range min(len(p), len(q)) {
		if c := cmp.Compare(rank(p[i]), rank(q[i])); c != 0 {
			return c
		}
	}
	return 0
}
