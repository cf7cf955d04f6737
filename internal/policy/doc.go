// Package policy compiles the rules of rooms: who may join and publish, what a
// room keeps, and what happens to slow members; and the routes of events. They
// come from a YAML document (POLICY_FILE), strictly read; Default returns the
// one that is embedded for each security level, in the words users write.
//
// A compiled Policy is immutable and safe for concurrent use.
//
// # Patterns
//
// A room name is a list of segments separated by ':' or '/'. In a pattern the
// segment "*" is exactly one segment and "**", which may only be the last, is
// one or more. A separator matches only itself; inside "**" either may stand.
// An empty segment is a segment like any other.
//
// Of several patterns that match a room the most specific rules it: segment by
// segment a literal beats "*" and "*" beats "**". Two patterns that overlap
// while neither is the more specific ("a:*" and "*:b", or twice the same) are
// ambiguous and a configuration error, unless a third rule is written for
// exactly the rooms they share ("a:b").
//
// # Rooms of users
//
// Rooms for which wire.IsUserRoom holds are outside all patterns, so that no
// wildcard can grant them. The special entry "user:*" sets what they keep and
// whether backends alone or also their owners publish; only the owner joins.
//
// # Routes
//
// The document also says where application events go, those that the protocol
// does not know. Their patterns are like those of rooms, with '.' as a third
// separator, and any text between. A route that publishes stands in place of
// the room's own rule of who publishes; a room of a user it reaches only for
// that user's own connections.
package policy
