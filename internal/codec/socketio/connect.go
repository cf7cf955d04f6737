package socketio

import (
	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Auth is what the gateway reads of a CONNECT packet's data, which a client
// gives to its library as the option "auth".
type Auth struct {
	Token string // a credential, "" for none
	Since []byte // raw JSON object of resume positions by room, nil for none
	// Of connection state recovery, which the library adds: the secret id of
	// the session that was cut and the last offset that it saw; "" for none.
	PID, Offset string
}

var (
	errAuth  = wire.NewError(wire.InvalidMessage, `"auth" is an object; its "token", "pid" and "offset" are strings and its "since" an object, each at most once`)
	errOther = wire.NewError(wire.InvalidMessage, "the packet is no CONNECT")
)

// Auth reads the data of a CONNECT packet. Fields that it does not know are the
// application's and are left alone; a known one that is null counts as absent.
// The error is a *wire.Error with code InvalidMessage and names no value.
func (p Packet) Auth() (Auth, error) {
	var a Auth
	if p.Type != Connect {
		return a, errOther
	}
	if p.Data == nil {
		return a, nil
	}
	var seen authFields
	f := jsonscan.Object(p.Data)
	for f.Next() {
		if !seen.take(&a, f.Key, f.Value) {
			return Auth{}, errAuth
		}
	}
	if f.Err() != nil {
		return Auth{}, errAuth
	}
	return a, nil
}

// authFields are the known fields that came.
type authFields struct{ token, since, pid, offset bool }

// take reads one field; false when it came before or is of another type.
func (s *authFields) take(a *Auth, key, value []byte) bool {
	switch string(key) {
	case "token":
		return once(&s.token) && text(&a.Token, value)
	case "pid":
		return once(&s.pid) && text(&a.PID, value)
	case "offset":
		return once(&s.offset) && text(&a.Offset, value)
	case "since":
		return once(&s.since) && positions(&a.Since, value)
	}
	return true
}

func once(seen *bool) bool {
	first := !*seen
	*seen = true
	return first
}

func text(to *string, value []byte) (ok bool) {
	if string(value) == "null" {
		return true
	}
	*to, ok = jsonscan.Unquote(value)
	return ok
}

func positions(to *[]byte, value []byte) bool {
	if string(value) == "null" {
		return true
	}
	*to = value
	return value[0] == '{'
}

// Connected is the consent to a CONNECT: the id of the client's socket in this
// namespace, and with recovery (pid not "") the secret by which the session can
// be taken up again.
func (c Codec) Connected(sid, pid string) *wire.Frame {
	b := c.buffer(Connect, 0, len(sid)+len(pid)+24)
	b = jsonscan.AppendQuoted(append(b, `{"sid":`...), sid)
	if pid != "" {
		b = jsonscan.AppendQuoted(append(b, `,"pid":`...), pid)
	}
	return wire.NewFrame(wire.Text, append(b, '}'))
}

// InvalidNamespace is the message to a CONNECT to a namespace that there is
// not.
const InvalidNamespace = "Invalid namespace"

// Refused is the refusal of a CONNECT (CONNECT_ERROR): a message for the
// client's Error, and raw JSON for its field data, nil for none.
func (c Codec) Refused(message string, data []byte) *wire.Frame {
	b := c.buffer(ConnectError, 0, len(message)+len(data)+32)
	b = jsonscan.AppendQuoted(append(b, `{"message":`...), message)
	if data != nil {
		b = append(append(b, `,"data":`...), data...)
	}
	return wire.NewFrame(wire.Text, append(b, '}'))
}

// Disconnected tells a client that its socket in this namespace is closed. The
// client does not connect again by itself.
func (c Codec) Disconnected() *wire.Frame {
	return wire.NewFrame(wire.Text, c.buffer(Disconnect, 0, 0))
}
