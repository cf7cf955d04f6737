// Package roomlog keeps the logs of rooms in Redis: the store side of the
// Redis broker. One script publishes, atomically; others read and verify.
//
// # Keys
//
// All keys of a room have its name as their tag, and so one slot of a cluster:
//
//	m:{room}       meta: epoch, top, retention, the newest nonces; see scripts/common.lua
//	l:{room}       the log, a stream whose ids are "offset-nonce", with time and blob
//	k:{room}:hash  the result of a publish with an idempotency key, by publisher and key
//	c:{room}       the channel; in a cluster it is a sharded one
//
// The logical log is the newest entries, as many as the room keeps, that are
// younger than the room's age. The stream has some more: trimming is rough, and
// the newest trimmed entry must be there, for its nonce is what a reader at that
// place is known by. Entries expire for readers by their time; Redis drops them
// a minute after the last has expired, and the meta a day later. Meta and log of
// a room without an age have no expiry and stay.
//
// Without a meta there is no log: whoever needs one makes it, with an epoch
// that the gateway has drawn, and deletes what is left of a log before.
//
// # Requests
//
// Thousands of callers share round trips: requests to a shard queue in a lane,
// and a few senders take all that waits into one pipeline each. There is a lane
// for publishes, one for reads, and one for publishes that wait for replicas:
// these end their pipelines with WAIT, which covers what its connection has
// written, and so also repeats, which write something for its sake.
//
// A request is repeated once, 50 ms later, if it certainly was not executed;
// also if that is unknown, when a repeat is recognised by its key, or by its
// nonce in a room with history. It never is executed unseen a second time, however
// late: a second attempt that finds no first has another nonce, made of the first
// one's, and each attempt looks for both.
// While a slot of a cluster moves, Redis refuses commands about keys that exist
// on neither or both sides: publishes that need one are unavailable until then.
//
// # Goroutines and locks
//
// Senders run while there is something to send; Shutdown waits for them.
// Log.mu and lane.mu are never held together, except Log.mu before lane.mu.
package roomlog
