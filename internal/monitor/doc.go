// Package monitor measures how long the gateway's operations take and how many
// there are (the gateway's PerformanceMonitor).
//
// An operation is measured with a Span: Begin, then End, without allocation. A
// message must not pay for being watched, so beyond about a thousand a second
// only one in 2, 4, 8 … of an operation is timed, and counts that often; all of
// them are counted. Counters stand in shards, one to a cache line, which a
// random number chooses.
//
// Durations go into buckets with 8 to a doubling (those of a Prometheus native
// histogram with schema 3), so a percentile is within 5 % of the truth. Buckets
// are kept for the last minute, in slots of 10 seconds, and since the start.
// The package knows nothing of Prometheus: metrics shows what it keeps.
//
// A nil *Monitor measures nothing.
package monitor
