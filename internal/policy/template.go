package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// template is the room of a route.
type template []part

// part is a literal, or one of the words.
type part struct {
	literal string
	word    word
}

// word is a placeholder: wordUser, wordConnection, or the number of a wildcard.
type word int

const (
	wordUser       word = -1
	wordConnection word = -2
)

// errBraces explains what a template may contain.
var errBraces = errors.New("room may contain {user}, {connection}, and {1}, {2}, … for the wildcards of match")

// parseTemplate reads the room of a route whose match has so many wildcards.
// "" is no template.
func parseTemplate(s string, wildcards int) (template, error) {
	if s == "" {
		return nil, nil
	}
	var out template
	for rest := s; rest != ""; {
		literal, after, open := strings.Cut(rest, "{")
		if literal != "" {
			if !wire.ValidRoom(literal) {
				return nil, fmt.Errorf("room %q has bytes outside of [A-Za-z0-9_.:@/-]", s)
			}
			out = append(out, part{literal: literal})
		}
		if !open {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		w, err := parseWord(name, wildcards)
		if err != nil || !closed {
			return nil, errBraces
		}
		out = append(out, part{word: w})
		rest = after
	}
	return out, out.checkOwner()
}

func parseWord(name string, wildcards int) (word, error) {
	switch name {
	case "user":
		return wordUser, nil
	case "connection":
		return wordConnection, nil
	}
	n, err := strconv.Atoi(name)
	if err != nil || n < 1 || n > wildcards {
		return 0, errBraces
	}
	return word(n), nil
}

// checkOwner refuses a room of a user who need not be the sender. What a
// wildcard makes of a name is checked when an event comes.
func (t template) checkOwner() error {
	first := t[0].literal
	own := first == wire.UserRoomPrefix && len(t) > 1 && t[1].word == wordUser
	if wire.IsUserRoom(first) && !own {
		return errors.New("room may be of the sender's user alone: user:{user}, or one below it")
	}
	return nil
}

// expand makes the name of a room. The user stands in it as in the name of the
// user's own room.
func (t template) expand(match pattern, event, userID, connection string) string {
	var b strings.Builder
	for _, p := range t {
		switch p.word {
		case 0:
			b.WriteString(p.literal)
		case wordUser:
			b.WriteString(strings.TrimPrefix(wire.UserRoom(userID), wire.UserRoomPrefix))
		case wordConnection:
			b.WriteString(connection)
		default:
			b.WriteString(match.wildcard(int(p.word), event))
		}
	}
	return b.String()
}
