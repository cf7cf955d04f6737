package emitter

import "strings"

// namespace is one that is listened to, with its channels. Immutable.
type namespace struct {
	name     string // such as "/"
	events   string // channel of events, which those of single rooms begin with
	requests string // channel of requests
}

func newNamespace(key, name string) *namespace {
	return &namespace{name: name, events: key + "#" + name + "#", requests: key + "-request#" + name + "#"}
}

// pattern matches the channels of events.
func (n *namespace) pattern() string { return literal(n.events) + "*" }

// room is the one that a channel of events is for, "" if it is not for exactly
// one.
func (n *namespace) room(channel string) string {
	rest, _ := strings.CutPrefix(channel, n.events)
	return strings.TrimSuffix(rest, "#")
}

// literal is a pattern that matches a text alone.
func literal(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}

// arrival is a message that came.
type arrival struct {
	space   *namespace
	request bool
	room    string // of an event for exactly one room
	payload string
}

// channels are all that is subscribed to. Immutable.
type channels struct {
	patterns, names []string
	events          map[string]*namespace // by pattern
	requests        map[string]*namespace // by name
}

func newChannels(cfg Config) *channels {
	c := &channels{events: map[string]*namespace{}, requests: map[string]*namespace{}}
	list := cfg.Namespaces
	if list == nil {
		list = []string{"/"}
	}
	for _, name := range list {
		space := newNamespace(cfg.Key, name)
		if c.events[space.pattern()] != nil {
			continue // named twice
		}
		c.patterns = append(c.patterns, space.pattern())
		c.events[space.pattern()] = space
		if cfg.Requests {
			c.names = append(c.names, space.requests)
			c.requests[space.requests] = space
		}
	}
	return c
}

// count is how many subscriptions there are.
func (c *channels) count() int { return len(c.patterns) + len(c.names) }

// arrival says what a message is by where it came; false for none of these
// channels. pattern is "" for a channel that was subscribed to by name.
func (c *channels) arrival(pattern, channel, payload string) (arrival, bool) {
	if space := c.events[pattern]; space != nil {
		return arrival{space: space, room: space.room(channel), payload: payload}, true
	}
	space := c.requests[channel]
	return arrival{space: space, request: true, payload: payload}, space != nil
}
