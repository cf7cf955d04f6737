// Package membroker is the embedded broker: one node, in memory. It is the
// gateway's default when no Redis is configured, and the reference that the
// Redis broker is measured against.
//
// # Shape
//
// Rooms live in 64 shards, by a keyed hash of their name; a shard's lock is the
// lock of all its rooms, held for a bounded, short time and never across a call
// to the Sink. Publish, under it, looks up key and nonce, gives the offset,
// appends to the log and to the room's hand-off queue, and puts the room on one
// shared run queue. Workers take rooms off it, up to 64 publications at a time,
// and call Sink.Deliver without any lock. A room is on the run queue or with
// one worker, never both, hence one order and one call at a time per room. A
// room that has more goes to the end of the queue, and a room whose Deliver is
// slow holds one worker and nobody else.
//
// Everything is delivered for every room: Subscribe and Unsubscribe do nothing
// but look at the broker's state, and the Sink ignores rooms without members.
//
// Back-pressure: what waits for the Sink, the batch under delivery included, is
// bounded per room (Config.HandoffBytes) and for the process (a quarter of
// Config.MemoryBytes, or HandoffBytes if that is more). Beyond either, Publish
// waits within its context and TryPublish returns broker.ErrWouldBlock. A
// Sink that publishes to the room it is being called for should use
// TryPublish: it would wait for itself.
//
// # Positions
//
// A log is the entries after its trim mark (offset and nonce of the newest
// entry that is gone), so its top is the mark plus the number of entries. The
// mark outlives the entries: 24 hours without use after the last entry expired.
// A room that was never published to costs nothing: its epoch is derived from
// a random secret of the process, its name and the generation of its bucket.
// When a room loses its metadata its bucket's generation rises, and with it the
// epoch of that room and, for resumes from nothing, of the metadata-less rooms
// in its bucket (1 of 65,536). Losing metadata is said to subscribers
// as a Gap, in the room's order: "history_lost" when the budget took it,
// "epoch_changed" when it timed out or the room's policy stopped keeping
// history. A room that gains metadata in a bucket that ever lost some says
// "epoch_changed" too, since readers may know its earlier epoch: no reader ever
// meets a publication of another epoch without a Gap before it. Gaps that wait
// for the Sink all lead to the newest epoch, so that none takes a reader back to
// one that ended since; publications of epochs between are lost to all, who are
// told. What a reader does: it ignores a Gap whose Top is in its epoch and not
// ahead of it; it drops publications of another epoch, which are older than the
// page it read, until the Gap that leads into its own.
//
// # Budget
//
// Config.MemoryBytes bounds the sum, approximate by construction, of
//
//	per entry  256 + len(Event, Data, Publisher, Origin, IdempotencyKey, ConflateKey)
//	per room   384 + len(name) + 16 per slot of the log's ring
//	per key    192
//
// Over it the least recently used room loses history and metadata. Keys may
// take a quarter of it, then the oldest go. One room may take half of it, then
// its oldest entries are trimmed. One publication may take an eighth of it,
// else it is refused as too large. The sum is exactly zero when nothing is
// kept.
//
// # Goroutines and locks
//
// Start starts the workers and one sweeper; Shutdown ends them and waits. The
// sweeper drops expired entries, keys and metadata, a bounded number a second;
// readers never see an expired entry, swept or not.
//
// Lock order: Broker.reclaiming, then shard.mu, then those of package handoff.
// Two shards are never locked together.
package membroker
