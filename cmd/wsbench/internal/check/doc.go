// Package check finds what a stream of numbered messages has lost, doubled or
// reordered, at 16 bytes for a stream that behaves.
package check
