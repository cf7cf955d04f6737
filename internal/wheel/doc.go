// Package wheel is the one coarse timer of the process: heartbeats, deadlines
// and closes of a million connections, exact to one tick of 50 ms, never early.
//
// A Timer is embedded by value in what it times; scheduling allocates nothing
// and starts no goroutine. Timers hang in hashed slots by the tick at which
// they end; one that lies more than a turn ahead stays where it is for as many
// turns. The slots stand in shards, each under a lock of its own, so that many
// cores can schedule at once; a timer keeps the shard it was given first.
//
// Start runs one goroutine, Stop ends it and waits. Expired is called on it,
// without any lock of the wheel held, one task at a time.
//
// Races: a timer that was collected for its tick is idle from then on, even
// before its Expired has been called. Cancel then answers false, and Expired
// is running, has run or is about to run; Schedule then makes it pending again
// and both Expired calls happen. A task therefore looks at its owner's state,
// under the owner's lock, and never trusts that it was called in time or only
// once. Lock order: an owner may call Schedule and Cancel with its own lock
// held.
package wheel
