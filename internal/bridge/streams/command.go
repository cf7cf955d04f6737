package streams

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// The operations of commands.
const (
	opPublish     = "publish"
	opDisconnect  = "disconnect"
	opSubscribe   = "subscribe"
	opUnsubscribe = "unsubscribe"
	opRevoke      = "revoke"
)

// The fields of a W3C trace context, in commands and in the entries of routes.
const (
	fieldTraceparent = "traceparent"
	fieldTracestate  = "tracestate"
)

const (
	maxConnectionID = 64
	maxToken        = 16 << 10
	// backend is the scope of idempotency keys that backends choose: the same
	// as in the server API, so that one may take over from the other.
	backend = "backend"
)

// command is what an entry of the stream says.
type command struct {
	op             string
	room           string
	to             router.Target // of all but revocations: user or connection
	everyone       bool
	out            router.Outgoing
	revokes, token string // the user or the token that is revoked
	until          time.Time
	trace          tracing.Context // of who wrote it
}

var (
	errOp         = wire.NewError(wire.InvalidMessage, `"op" is one of publish, disconnect, subscribe, unsubscribe, revoke`)
	errField      = wire.NewError(wire.InvalidMessage, "the entry has a field that its op does not know")
	errTwice      = wire.NewError(wire.InvalidMessage, "the entry has a field twice")
	errText       = wire.NewError(wire.InvalidMessage, "a field is not UTF-8")
	errRoom       = wire.NewError(wire.InvalidMessage, `"room" has 1 to 128 bytes of [A-Za-z0-9_.:@/-]`)
	errUser       = wire.NewError(wire.InvalidMessage, `"user" has 1 to 256 bytes`)
	errConnection = wire.NewError(wire.InvalidMessage, `"connection" has 1 to 64 bytes`)
	errEveryone   = wire.NewError(wire.InvalidMessage, `"everyone" is true, or absent`)
	errData       = wire.NewError(wire.InvalidMessage, `"data" is JSON: a text stands in quotes`)
	errKey        = wire.NewError(wire.InvalidMessage, "a key has 1 to 128 bytes")
	errExcept     = wire.NewError(wire.InvalidMessage, `"except" is a JSON array of connection ids`)
	errUntil      = wire.NewError(wire.InvalidMessage, `"until" is a time in Unix milliseconds`)
	errToken      = wire.NewError(wire.InvalidMessage, `"token" has 1 to 16384 bytes`)
	errTo         = wire.NewError(wire.InvalidMessage, `name one of "room", "user", "connection" and "everyone"`)
	errWhom       = wire.NewError(wire.InvalidMessage, `name one of "user" and "connection"`)
	errWhere      = wire.NewError(wire.InvalidMessage, `name a "room"`)
	errRevoke     = wire.NewError(wire.InvalidMessage, `name one of "user" and "token"; "until" goes with "user"`)
	errLong       = wire.NewError(wire.TooLarge, `"data" is too long for a message`)
)

// knows are the fields of each op.
var knows = map[string][]string{
	opPublish:     {"room", "user", "connection", "everyone", "event", "data", "idempotencyKey", "conflateKey", "except"},
	opDisconnect:  {"user", "connection"},
	opSubscribe:   {"user", "connection", "room"},
	opUnsubscribe: {"user", "connection", "room"},
	opRevoke:      {"user", "token", "until"},
}

// parse reads an entry: names and values in turn. Errors are wire.Errors.
func parse(fields []string, maxData int) (command, error) {
	values, err := collect(fields)
	if err != nil {
		return command{}, err
	}
	c := command{op: values["op"], trace: takeTrace(values)}
	known := knows[c.op]
	if known == nil {
		return c, errOp
	}
	seen := 1 // op
	for _, name := range known {
		value, there := values[name]
		if !there {
			continue
		}
		seen++
		if err := c.set(name, value, maxData); err != nil {
			return c, err
		}
	}
	if seen != len(values) {
		return c, errField
	}
	return c, c.check()
}

// takeTrace takes the fields out that every op may have. They are never a fault:
// a trace context that is not valid is not continued.
func takeTrace(values map[string]string) tracing.Context {
	c := tracing.Context{Parent: values[fieldTraceparent], State: values[fieldTracestate]}
	delete(values, fieldTraceparent)
	delete(values, fieldTracestate)
	return c
}

// collect puts fields into a map: each is there once.
func collect(fields []string) (map[string]string, error) {
	values := make(map[string]string, len(fields)/2)
	for i := 0; i+1 < len(fields); i += 2 {
		name, value := fields[i], fields[i+1]
		if _, twice := values[name]; twice {
			return nil, errTwice
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, errText
		}
		values[name] = value
	}
	return values, nil
}

// set takes the value of one field.
func (c *command) set(name, value string, maxData int) error {
	switch name {
	case "event":
		c.out.Event = value // the router knows what may be one
		return nil
	case "data":
		return c.setData(value, maxData)
	case "except":
		return c.setExcept(value)
	case "until":
		return c.setUntil(value)
	case "everyone":
		return when(value == "true", errEveryone, func() { c.everyone = true })
	case "room":
		return when(wire.ValidRoom(value), errRoom, func() { c.room = value })
	case "token":
		return bounded(value, maxToken, errToken, &c.token)
	}
	return c.setName(name, value)
}

// setName takes the value of a field that is some name.
func (c *command) setName(name, value string) error {
	switch name {
	case "connection":
		return bounded(value, maxConnectionID, errConnection, &c.to.Connection)
	case "idempotencyKey":
		return bounded(value, router.MaxKey, errKey, &c.out.IdempotencyKey)
	case "conflateKey":
		return bounded(value, router.MaxKey, errKey, &c.out.ConflateKey)
	}
	to := &c.to.User
	if c.op == opRevoke {
		to = &c.revokes
	}
	return bounded(value, auth.MaxUserID, errUser, to)
}

// when does something if it is right to, and returns the fault if not.
func when(right bool, fault error, do func()) error {
	if !right {
		return fault
	}
	do()
	return nil
}

// bounded takes a text of 1 to most bytes.
func bounded(value string, most int, fault error, to *string) error {
	return when(value != "" && len(value) <= most, fault, func() { *to = value })
}

func (c *command) setData(value string, maxData int) error {
	c.out.Data = []byte(value)
	switch {
	case maxData > 0 && len(value) > maxData:
		return errLong
	case jsonscan.Valid(c.out.Data) != nil:
		return errData
	}
	return nil
}

func (c *command) setExcept(value string) error {
	err := json.Unmarshal([]byte(value), &c.out.Except)
	return when(err == nil && len(c.out.Except) <= wire.MaxExcept, errExcept, func() {})
}

func (c *command) setUntil(value string) error {
	ms, err := strconv.ParseInt(value, 10, 53)
	return when(err == nil && ms > 0, errUntil, func() { c.until = time.UnixMilli(ms) })
}

// check tells whether the fields go together.
func (c *command) check() error {
	one := (c.to.User == "") != (c.to.Connection == "")
	switch c.op {
	case opPublish:
		return c.checkTarget()
	case opRevoke:
		if (c.revokes == "") == (c.token == "") || c.token != "" && !c.until.IsZero() {
			return errRevoke
		}
		return nil
	case opDisconnect:
		return when(one, errWhom, func() {})
	}
	if !one {
		return errWhom
	}
	return when(c.room != "", errWhere, func() {})
}

// checkTarget tells whether a publication has exactly one target.
func (c *command) checkTarget() error {
	n := 0
	for _, named := range []bool{c.room != "", c.to.User != "", c.to.Connection != "", c.everyone} {
		if named {
			n++
		}
	}
	return when(n == 1, errTo, func() {})
}

// lanes name the targets of a command: it comes after all that was before it
// for any of them. A user is named as the user's room.
func (c *command) lanes() []string {
	var out []string
	add := func(named bool, lane string) {
		if named {
			out = append(out, lane)
		}
	}
	add(c.room != "", c.room)
	add(c.to.User != "", wire.UserRoom(c.to.User))
	add(c.revokes != "", wire.UserRoom(c.revokes))
	add(c.to.Connection != "", wire.ConnectionRoom(c.to.Connection))
	add(c.everyone, wire.Everyone)
	if len(out) == 2 && out[0] == out[1] {
		return out[:1]
	}
	return out
}
