// Package traces runs the gateway in the test's process, on real sockets and a
// real Redis, with services of its own around it and a collector that takes its
// spans, and follows what backends and clients do from trace to trace.
package traces
