package server

import (
	"net"
	"net/http"
	"sync/atomic"
)

// Gate tells whether the public port takes one more TCP connection, so many of
// which are open and no WebSockets, the new one too. It must not block.
type Gate func(open int64) bool

// Sockets counts the TCP connections of the public port that are no
// WebSockets. Safe for concurrent use.
type Sockets struct {
	gate Gate // immutable

	open, refused atomic.Int64
}

// NewSockets makes the counter; the gate decides.
func NewSockets(g Gate) *Sockets { return &Sockets{gate: g} }

// changed is the hook of http.Server. A connection that is one too many ends
// before anything is read from it: who holds very many open without a word
// takes neither descriptors nor memory that WebSockets need.
func (s *Sockets) changed(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if n := s.open.Add(1); !s.gate(n) {
			s.refused.Add(1)
			_ = c.Close() // the server finds it closed, and says so
		}
	case http.StateHijacked, http.StateClosed:
		s.open.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}

// SocketStats is a snapshot of the public port's TCP connections.
type SocketStats struct {
	Open    int64 // now, without WebSockets
	Refused int64 // since the start
}

// Stats returns the counters.
func (s *Sockets) Stats() SocketStats { return SocketStats{s.open.Load(), s.refused.Load()} }

// UseSockets says who decides on TCP connections of the public port. Call it
// before Start.
func (s *Servers) UseSockets(to *Sockets) { s.public.ConnState = to.changed }
