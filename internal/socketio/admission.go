package socketio

import (
	"context"
	"net/netip"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	codec "github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/limit"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Handshake is what is known of a client when its connection opens.
type Handshake struct {
	Peer netip.Addr
	// Account is what the connection has taken of what is limited; nil when
	// nothing is. The connection closes it.
	Account *limit.Account
	// Claim is what the request said of its client; nil: nothing. It counts
	// until a CONNECT is admitted.
	Claim *Claim
}

// Claim is a credential in the URL or the headers of a request.
type Claim struct {
	Token string      // "": none
	Since []byte      // raw JSON of resume positions, nil without
	Fault *wire.Error // why the credential cannot be read
}

// Connect is a CONNECT packet to decide about.
type Connect struct {
	Codec codec.Codec // of the namespace
	SID   string      // the id that the socket will have, which its session must have too
	Auth  codec.Auth
	Data  []byte // raw JSON that Auth was read from, nil when there is none

	Peer    netip.Addr
	Account *limit.Account
	Claim   *Claim // nil without, and once a CONNECT of the connection was admitted
	// Identity is what an earlier CONNECT of the connection was admitted with,
	// or what the client has renewed it to; nil on the first.
	Identity *auth.Identity
}

// Admitted is the consent to a CONNECT.
type Admitted struct {
	Identity *auth.Identity
	// Open starts the socket's session. The client has been told of the consent
	// by then; what Open sends follows it.
	Open func(transport.Conn) transport.Handler
	// Resume takes up a session of the identity's user instead, on a connection
	// that holds back what is sent until Resumed.Say. False, and nothing is left,
	// when a part of it cannot be had; it does not outlast ctx by much. nil: no
	// session can be taken up.
	Resume func(ctx context.Context, c transport.Conn, from Resumed) (transport.Handler, bool)
}

// Admission decides about CONNECT packets.
type Admission interface {
	// Admit may wait, and ends soon after ctx. Its errors are a *wire.Error,
	// which the client is told as a CONNECT_ERROR, or a LeaveError.
	Admit(ctx context.Context, c Connect) (Admitted, error)
}

// LeaveError is an error of Admission: the whole connection is closed, with a code
// that lets the client come back by itself.
type LeaveError struct{ Close wire.Close }

// Error implements error.
func (l LeaveError) Error() string { return "leave: " + l.Close.Reason }
