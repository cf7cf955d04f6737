package emitter

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Types of requests that emitters make. Others are questions of Node servers
// among each other.
const (
	requestJoin       = 2
	requestLeave      = 3
	requestDisconnect = 4
	requestServerEmit = 6
)

// request is one as it was published.
type request struct {
	Type  int            `json:"type"`
	Opts  *requestOpts   `json:"opts"` // nil: it names one socket, as old servers did
	Rooms []requestRoom  `json:"rooms"`
	Close bool           `json:"close"`
	Data  requestIgnored `json:"data"`
}

type requestOpts struct {
	Rooms  []requestRoom `json:"rooms"`
	Except []requestRoom `json:"except"`
}

// requestRoom is a room's name; JavaScript has numbers for names, too.
type requestRoom string

// UnmarshalJSON implements json.Unmarshaler.
func (r *requestRoom) UnmarshalJSON(raw []byte) error {
	var name json.Number
	if raw[0] == '"' {
		return json.Unmarshal(raw, (*string)(r))
	}
	if raw[0] == 'n' { // null: it would mean everybody
		return errKind
	}
	err := json.Unmarshal(raw, &name)
	*r = requestRoom(name)
	return err
}

// requestIgnored is a value that is not looked at.
type requestIgnored struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (*requestIgnored) UnmarshalJSON([]byte) error { return nil }

// parseRequest reads a request of at most limit bytes (0: no bound). ok is
// false for one that is not JSON: Node servers ask each other so for
// acknowledgements.
func parseRequest(raw string, limit int) (q request, ok bool, err error) {
	switch {
	case !strings.HasPrefix(raw, "{"):
		return q, false, nil
	case limit > 0 && len(raw) > limit:
		return q, true, errTooLarge
	}
	if err := json.Unmarshal([]byte(raw), &q); err != nil {
		return q, true, fmt.Errorf("read a request: %w", errKind) // the library's error quotes it
	}
	return q, true, nil
}

// aim is whom a request means.
func (q *request) aim(namespace string) Aim {
	return Aim{Namespace: namespace, Rooms: texts(q.Opts.Rooms), Except: texts(q.Opts.Except)}
}

func texts(rooms []requestRoom) []string {
	out := make([]string, 0, len(rooms))
	for _, r := range rooms {
		out = append(out, string(r))
	}
	return out
}
