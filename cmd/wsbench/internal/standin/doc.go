// Package standin is the smallest server that speaks gateway.v1: a goroutine
// per connection that blocks in the read loop, as the documentation of
// coder/websocket shows it. wsbench measures it as the naive server beside the
// gateway, and tests wsbench's own checks against it, with faults injected.
package standin
