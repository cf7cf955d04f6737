// Package handoff holds what brokers hand publications to their Sink with: a
// queue of rooms that workers share, the queue of one room, and the place where
// publishers wait while both are full.
//
// A room is on the Queue, or with one worker, or neither: whoever owns the room
// keeps it so, which makes calls for one room come one at a time and in order.
//
// Locks: Queue.mu and Throng.mu are each the innermost.
package handoff
