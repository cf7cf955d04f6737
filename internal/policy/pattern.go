package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// The wildcards.
const (
	oneSegment   = "*"
	moreSegments = "**"
)

// token is one segment of a pattern with the separator before it.
type token struct {
	sep  byte // ':' or '/', 0 at the beginning
	text string
}

// pattern is a parsed match.
type pattern []token

// String is the pattern as it is written.
func (p pattern) String() string {
	var b strings.Builder
	for _, t := range p {
		if t.sep != 0 {
			b.WriteByte(t.sep)
		}
		b.WriteString(t.text)
	}
	return b.String()
}

func (p pattern) wild() bool {
	for _, t := range p {
		if t.text == oneSegment || t.text == moreSegments {
			return true
		}
	}
	return false
}

func parsePattern(s string) (pattern, error) {
	if !wire.ValidRoom(strings.ReplaceAll(s, "*", "-")) {
		return nil, errors.New("match must be 1 to 128 bytes of [A-Za-z0-9_.:@/-], and '*' or '**' as whole segments")
	}
	if wire.IsUserRoom(s) {
		return nil, fmt.Errorf("rooms of users take no patterns; their one entry is %q", userMatch)
	}
	return splitPattern(s, ":/")
}

// splitPattern takes a pattern apart at the separators.
func splitPattern(s, separators string) (pattern, error) {
	var p pattern
	var sep byte
	for rest := s; ; {
		i := strings.IndexAny(rest, separators)
		if i < 0 {
			return append(p, token{sep, rest}), checkToken(rest, true)
		}
		if err := checkToken(rest[:i], false); err != nil {
			return nil, err
		}
		p = append(p, token{sep, rest[:i]})
		sep, rest = rest[i], rest[i+1:]
	}
}

func checkToken(text string, last bool) error {
	switch {
	case text == moreSegments && !last:
		return errors.New("'**' may only be the last segment")
	case text == oneSegment, text == moreSegments:
		return nil
	case strings.Contains(text, "*"):
		return fmt.Errorf("segment %q: a wildcard is a whole segment, '*' or '**'", text)
	}
	return nil
}

// meet returns the pattern for exactly the rooms that p and q share, false if
// they share none.
func meet(p, q pattern) (pattern, bool) {
	var both pattern
	for i := 0; ; i++ {
		switch {
		case i == len(p) || i == len(q):
			return both, len(p) == len(q)
		case p[i].sep != q[i].sep:
			return nil, false
		case p[i].text == moreSegments:
			return append(both, q[i:]...), true
		case q[i].text == moreSegments:
			return append(both, p[i:]...), true
		}
		text, ok := meetSegment(p[i].text, q[i].text)
		if !ok {
			return nil, false
		}
		both = append(both, token{p[i].sep, text})
	}
}

func meetSegment(a, b string) (string, bool) {
	switch {
	case a == oneSegment:
		return b, true
	case b == oneSegment, a == b:
		return a, true
	}
	return "", false
}

// ambiguities finds every pair of ambiguous patterns among those of one kind.
// literal tells whether there is a rule without wildcards of that name.
func ambiguities(kind string, wildcards []pattern, literal func(string) bool) error {
	has := func(p pattern) bool {
		if !p.wild() {
			return literal(p.String())
		}
		return slices.ContainsFunc(wildcards, func(q pattern) bool { return slices.Equal(p, q) })
	}
	var faults []error
	for i, p := range wildcards {
		for _, q := range wildcards[:i] {
			if err := ambiguous(kind, q, p, has); err != nil {
				faults = append(faults, err)
			}
		}
	}
	return errors.Join(faults...)
}

func ambiguous(kind string, p, q pattern, has func(pattern) bool) error {
	both, overlap := meet(p, q)
	switch {
	case !overlap:
		return nil
	case slices.Equal(p, q):
		return fmt.Errorf("policy: %s %q is written twice", kind, p)
	case slices.Equal(both, p), slices.Equal(both, q), has(both):
		return nil
	}
	return fmt.Errorf("policy: %s %q and %q are ambiguous: both match %q and neither is more specific; "+
		"write a rule for %q", kind, p, q, both, both)
}
