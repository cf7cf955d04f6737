// Package bench holds the scenarios of wsbench. Each is a file or two: what its
// connections do (an app per event loop, which owns all it counts) and a
// function that leads it through its phases and judges the outcome.
//
// A fleet brings connections up: every one with its own user, greeted, and a
// member of one more room. From then on the scenario's app gets the messages.
// Apps belong to their loop's goroutine; the leading goroutine talks to them
// through Post and atomics, and reads the rest only after the fleet stopped.
package bench
