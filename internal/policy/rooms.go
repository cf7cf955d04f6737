package policy

import "github.com/moonx-farm/ws-gateway/internal/wire"

// Rooms finds the rule of a room. Immutable.
type Rooms struct {
	user    Room
	literal map[string]*Room // rooms named without a wildcard
	root    *node            // patterns with one
	rules   []*Room
}

// Lookup returns the rule of a room, nil for an unknown room, which is to be
// refused. It does not allocate.
func (r *Rooms) Lookup(room string) *Room {
	if wire.IsUserRoom(room) {
		return &r.user
	}
	if rule := r.literal[room]; rule != nil {
		return rule
	}
	if room == "" {
		return nil
	}
	return r.root.find(room, 0, 0)
}

// node is one place in the trie of patterns. Its children are found by
// separator and segment.
type node struct {
	literal map[string]*node // by separator and text
	one     [3]*node         // "*", by the separator's slot
	more    [3]*Room         // "**", by the separator's slot
	room    *Room            // the pattern that ends here
}

// slot numbers the separators.
func slot(sep byte) int {
	switch sep {
	case ':':
		return 1
	case '/':
		return 2
	}
	return 0
}

func (n *node) insert(p pattern, room *Room) {
	for _, t := range p {
		switch s := slot(t.sep); t.text {
		case moreSegments:
			n.more[s] = room
			return
		case oneSegment:
			if n.one[s] == nil {
				n.one[s] = &node{}
			}
			n = n.one[s]
		default:
			n = n.child(pattern{t}.String())
		}
	}
	n.room = room
}

func (n *node) child(key string) *node {
	if n.literal == nil {
		n.literal = map[string]*node{}
	}
	if n.literal[key] == nil {
		n.literal[key] = &node{}
	}
	return n.literal[key]
}

// find matches the segment that begins at start and follows a separator of the
// given slot, and all after it: literals first, then "*", then "**". Ambiguity
// is excluded, so the first match is the most specific.
func (n *node) find(room string, start, sep int) *Room {
	end := start
	for end < len(room) && room[end] != ':' && room[end] != '/' {
		end++
	}
	key := start
	if sep != 0 {
		key--
	}
	if r := n.literal[room[key:end]].next(room, end); r != nil {
		return r
	}
	if r := n.one[sep].next(room, end); r != nil {
		return r
	}
	return n.more[sep]
}

// next goes on behind a segment that ended at end. n may be nil.
func (n *node) next(room string, end int) *Room {
	switch {
	case n == nil:
		return nil
	case end == len(room):
		return n.room
	}
	return n.find(room, end+1, slot(room[end]))
}
