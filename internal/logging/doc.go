// Package logging makes the process's logger: readable on a terminal, JSON
// otherwise.
package logging
