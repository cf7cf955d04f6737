// Package link is a TCP proxy whose link can be made to fail as networks do:
// cut with a reset, or silent in one direction or both, slow, or carrying one
// byte at a time.
//
// What a silent link swallows is not lost: TCP repeats it, so it arrives when
// the link heals, unless an end has given up by then. A connection that is
// opened meanwhile is opened at the other end only then.
package link
