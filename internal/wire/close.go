package wire

// CloseCode is a WebSocket close status (RFC 6455 section 7.4): the registered
// ones the gateway uses, and its own from the private range 4000 to 4999.
type CloseCode uint16

// The close codes a client of the gateway may see.
const (
	CloseGoingAway       CloseCode = 1001 // the server ends without a drain
	CloseProtocolError   CloseCode = 1002 // a malformed frame
	CloseUnsupported     CloseCode = 1003 // a binary frame where text is spoken
	CloseNoStatus        CloseCode = 1005 // never sent: the peer closed without a code
	CloseAbnormal        CloseCode = 1006 // never sent: the connection was cut
	CloseInvalidPayload  CloseCode = 1007 // text that is not UTF-8
	ClosePolicyViolation CloseCode = 1008 // a request the policy forbids outright
	CloseTooBig          CloseCode = 1009 // a message over MAX_MESSAGE_BYTES
	CloseInternal        CloseCode = 1011 // a fault of the gateway
	CloseServiceRestart  CloseCode = 1012 // drain: reconnect, another instance serves you
	CloseTryAgainLater   CloseCode = 1013 // overloaded: reconnect later
	CloseUnauthenticated CloseCode = 4001 // no valid credential in time
	CloseTokenExpired    CloseCode = 4002 // the token ran out and was not refreshed
	CloseDisconnected    CloseCode = 4003 // disconnected by a backend or an operator
	CloseTooSlow         CloseCode = 4008 // the client reads slower than its rooms speak: resume
	CloseLimit           CloseCode = 4009 // a limit on connections was reached
)

// Close says why a connection ends. Reason is at most 123 bytes of UTF-8 that
// may be shown to the peer (RFC 6455 section 5.5.1).
type Close struct {
	Code   CloseCode
	Reason string
}

// Reconnect tells what a client should do after a close.
type Reconnect uint8

// The advice a close code carries.
const (
	ReconnectNever Reconnect = iota // repair the cause first
	ReconnectNow                    // at once, with jitter
	ReconnectLater                  // with back-off
)

// closeTable is the one table of close codes: what the code is called and what
// the client should do.
var closeTable = map[CloseCode]struct {
	name      string
	reconnect Reconnect
}{
	CloseGoingAway:       {"going away", ReconnectNow},
	CloseProtocolError:   {"protocol error", ReconnectNever},
	CloseUnsupported:     {"unsupported data", ReconnectNever},
	CloseNoStatus:        {"no status", ReconnectNow},
	CloseAbnormal:        {"connection lost", ReconnectNow},
	CloseInvalidPayload:  {"invalid payload", ReconnectNever},
	ClosePolicyViolation: {"policy violation", ReconnectNever},
	CloseTooBig:          {"message too big", ReconnectNever},
	CloseInternal:        {"internal error", ReconnectLater},
	CloseServiceRestart:  {"service restart", ReconnectNow},
	CloseTryAgainLater:   {"try again later", ReconnectLater},
	CloseUnauthenticated: {"unauthenticated", ReconnectNever},
	CloseTokenExpired:    {"token expired", ReconnectNow},
	CloseDisconnected:    {"disconnected", ReconnectNever},
	CloseTooSlow:         {"too slow", ReconnectNow},
	CloseLimit:           {"limit exceeded", ReconnectLater},
}

// CloseCodes lists the codes of the table, ascending.
func CloseCodes() []CloseCode {
	return []CloseCode{CloseGoingAway, CloseProtocolError, CloseUnsupported, CloseNoStatus, CloseAbnormal, CloseInvalidPayload,
		ClosePolicyViolation, CloseTooBig, CloseInternal, CloseServiceRestart, CloseTryAgainLater, CloseUnauthenticated,
		CloseTokenExpired, CloseDisconnected, CloseTooSlow, CloseLimit}
}

// Reconnect tells what a client should do after this code. Unknown codes
// advise to reconnect later.
func (c CloseCode) Reconnect() Reconnect {
	if row, ok := closeTable[c]; ok {
		return row.reconnect
	}
	return ReconnectLater
}

// String is the code's short name, also used as a metric label; unknown codes
// (a peer may send any) share the name "other".
func (c CloseCode) String() string {
	if row, ok := closeTable[c]; ok {
		return row.name
	}
	return "other"
}
