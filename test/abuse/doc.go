// Package abuse runs the application in the test's process on real sockets,
// mistreats it, and holds it to two promises: each abuse is answered with its
// documented error or close, and afterwards nothing of it is left. Goroutines
// and descriptors return exactly to what they were before, live heap after
// garbage collection within 5 %.
//
// A test starts a gateway with start, takes a baseline, does its worst, closes
// what it opened, and calls settled. The peer of the rig speaks HTTP and
// WebSocket by hand, as no library would; dial gives an honest client.
package abuse
