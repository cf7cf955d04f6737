package policy

import (
	"errors"
	"fmt"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// compileRoom checks an ordinary rule.
func compileRoom(rule RoomRule) (Room, error) {
	join, err1 := choose("join", rule.Join, "", []choice[Who]{
		{"nobody", Nobody}, {"backend", Backend}, {"authenticated", Authenticated}, {"anyone", Anyone}, {"ask", Ask}})
	publish, err2 := choose("publish", rule.Publish, "", []choice[Who]{
		{"nobody", Nobody}, {"backend", Backend}, {"member", Member}, {"authenticated", Authenticated}, {"anyone", Anyone}})
	room, err3 := compileCommon(rule)
	room.Join, room.Publish = join, publish
	return room, errors.Join(err1, err2, err3)
}

// compileUserRoom checks the special entry for rooms of users.
func compileUserRoom(rule RoomRule) (Room, error) {
	var faults []error
	if rule.Join != "" {
		faults = append(faults, errors.New("join cannot be set: only the owner joins"))
	}
	// A member of a user's room is its owner, always.
	publish, err1 := choose("publish", rule.Publish, "backend", []choice[Who]{{"backend", Backend}, {"owner", Member}})
	room, err2 := compileCommon(rule)
	if rule.History == nil {
		room.Retention = defaultUserRoom().Retention
	}
	room.Publish = publish
	return room, errors.Join(append(faults, err1, err2)...)
}

func compileCommon(rule RoomRule) (Room, error) {
	slow, err1 := choose("slow", rule.Slow, "disconnect", []choice[wire.SlowPolicy]{
		{"disconnect", wire.SlowDisconnect}, {"drop_oldest", wire.SlowDropOldest}, {"conflate", wire.SlowConflate}})
	replicated, err2 := choose("durability", rule.Durability, "async", []choice[bool]{
		{"async", false}, {"replicated", true}})
	retention, err3 := rule.History.retention()
	return Room{Match: rule.Match, Retention: retention, Presence: rule.Presence, Slow: slow, Replicated: replicated},
		errors.Join(err1, err2, err3)
}

func (h *History) retention() (broker.Retention, error) {
	if h == nil {
		return broker.Retention{}, nil
	}
	var faults []error
	if h.Size < 0 || h.Size > MaxHistorySize {
		faults = append(faults, fmt.Errorf("history size is %d, must be 0 to %d", h.Size, MaxHistorySize))
	}
	var age time.Duration
	if h.Age != "" {
		var err error
		if age, err = time.ParseDuration(h.Age); err != nil || age <= 0 || age > MaxHistoryAge {
			faults = append(faults, fmt.Errorf("history age is %q, must be a duration above 0 and at most %s, such as 5m",
				h.Age, MaxHistoryAge))
		}
		if h.Size == 0 {
			faults = append(faults, errors.New("history age without a size keeps nothing"))
		}
	}
	return broker.Retention{Size: int(h.Size), Age: age}, errors.Join(faults...)
}

// choice is one word of a setting and what it means.
type choice[T any] struct {
	word  string
	value T
}

// choose finds the choice a document made. An absent word takes the default;
// without a default it is an error.
func choose[T any](key, word, fallback string, choices []choice[T]) (T, error) {
	if word == "" {
		word = fallback
	}
	var zero T
	allowed := ""
	for _, c := range choices {
		if c.word == word {
			return c.value, nil
		}
		allowed += " " + c.word
	}
	if word == "" {
		return zero, fmt.Errorf("%s is missing, must be one of:%s", key, allowed)
	}
	return zero, fmt.Errorf("%s is %q, must be one of:%s", key, word, allowed)
}
