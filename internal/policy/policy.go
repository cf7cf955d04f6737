package policy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Limits of a policy.
const (
	MaxRules       = 10_000
	MaxWildcards   = 1_000 // rules with a wildcard
	MaxHistorySize = 1_000_000
	MaxHistoryAge  = 30 * 24 * time.Hour
)

// What the rooms of users keep unless the document says otherwise.
const (
	userHistorySize = 100
	userHistoryAge  = 5 * time.Minute
)

// userMatch is the special entry for the rooms of users.
const userMatch = "user:*"

// Who says who may do something. Up to Anyone a larger value includes the
// smaller ones.
type Who uint8

// The parties of a rule. In rooms of users only the owner can be a Member.
const (
	Nobody        Who = iota
	Backend           // backends, through the server API
	Member            // also connections that joined the room
	Authenticated     // also connections with a user's identity
	Anyone            // also guests
	Ask               // whom the auth service names when it is asked; join only
)

// String is the word used in documents.
func (w Who) String() string {
	switch w {
	case Nobody:
		return "nobody"
	case Backend:
		return "backend"
	case Member:
		return "member"
	case Authenticated:
		return "authenticated"
	case Anyone:
		return "anyone"
	case Ask:
		return "ask"
	}
	return "invalid"
}

// Room is the rule of the rooms that Match matches. It must not be modified.
type Room struct {
	Match         string
	Join, Publish Who // Join is Nobody for rooms of users: ownership decides there
	Retention     broker.Retention
	Presence      bool
	Slow          wire.SlowPolicy
	Replicated    bool // acknowledge only what replicas have
}

// Policy is a compiled document.
type Policy struct {
	Rooms  *Rooms
	Routes *Routes

	Source string // where it is from, see Load; "" when it was not loaded
	Text   string // the YAML it was compiled from; "" when it was not parsed
}

// Rules lists the compiled rules in the document's order, after the one for
// rooms of users.
func (p *Policy) Rules() []Room {
	out := []Room{p.Rooms.user}
	for _, r := range p.Rooms.rules {
		out = append(out, *r)
	}
	return out
}

// Asks tells whether a rule leaves to somebody else who may join.
func (p *Policy) Asks() bool {
	return slices.ContainsFunc(p.Rooms.rules, func(r *Room) bool { return r.Join == Ask })
}

// Streams tells whether a route goes to a Redis stream.
func (p *Policy) Streams() bool {
	return slices.ContainsFunc(p.Routes.all, func(r *Route) bool { return r.Stream != nil })
}

// Compile checks a document and makes it ready for look-ups. The error joins
// every fault.
func Compile(doc Document) (*Policy, error) {
	var faults []error
	if doc.Version != 1 {
		faults = append(faults, fmt.Errorf("policy: version is %d, must be 1", doc.Version))
	}
	if len(doc.Rooms) > MaxRules {
		return nil, errors.Join(append(faults, fmt.Errorf("policy: %d rooms, at most %d", len(doc.Rooms), MaxRules))...)
	}
	b := builder{rooms: &Rooms{user: defaultUserRoom(), literal: map[string]*Room{}, root: &node{}}}
	for i, rule := range doc.Rooms {
		if err := b.add(rule); err != nil {
			faults = append(faults, fmt.Errorf("policy: rooms[%d] %q: %w", i, rule.Match, err))
		}
	}
	if err := b.checkWildcards(); err != nil {
		faults = append(faults, err)
	}
	routes, err := compileRoutes(doc.Routes)
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return &Policy{Rooms: b.rooms, Routes: routes}, nil
}

func defaultUserRoom() Room {
	return Room{Match: userMatch, Publish: Backend,
		Retention: broker.Retention{Size: userHistorySize, Age: userHistoryAge}}
}

// builder collects the rules of one document.
type builder struct {
	rooms     *Rooms
	seenUser  bool
	wildcards []pattern
}

func (b *builder) add(rule RoomRule) error {
	if rule.Match == userMatch {
		if b.seenUser {
			return errors.New("is written twice")
		}
		b.seenUser = true
		room, err := compileUserRoom(rule)
		b.rooms.user = room
		return err
	}
	room, ruleErr := compileRoom(rule)
	p, err := parsePattern(rule.Match)
	if err != nil {
		return errors.Join(err, ruleErr)
	}
	r := &room
	b.rooms.rules = append(b.rooms.rules, r)
	if !p.wild() {
		if b.rooms.literal[rule.Match] != nil {
			return errors.Join(ruleErr, errors.New("is written twice"))
		}
		b.rooms.literal[rule.Match] = r
		return ruleErr
	}
	b.wildcards = append(b.wildcards, p)
	b.rooms.root.insert(p, r)
	return ruleErr
}

// checkWildcards finds every pair of ambiguous patterns.
func (b *builder) checkWildcards() error {
	if len(b.wildcards) > MaxWildcards {
		return fmt.Errorf("policy: %d rooms with wildcards, at most %d", len(b.wildcards), MaxWildcards)
	}
	return ambiguities("rooms", b.wildcards, func(name string) bool { return b.rooms.literal[name] != nil })
}
