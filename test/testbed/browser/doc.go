// Package browser drives Chromium as a person would: it opens pages, types,
// presses keys and waits for what it sees, and it notes everything that a page
// does wrong. It is for tests alone.
//
// A tab belongs to one test and fails it: its methods must be called from the
// test's own goroutine.
package browser
