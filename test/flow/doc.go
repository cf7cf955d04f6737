// Package flow drives the whole application, from config.Load to the last stop
// hook, over in-memory connections under testing/synctest: real HTTP upgrades,
// the real transport (a goroutine per connection, as there is no descriptor to
// park), and a clock that jumps.
package flow
