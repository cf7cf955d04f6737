package bridge

import (
	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/router"
)

// callBody is what an upstream gets: the event, its room and the client's id
// of the request, who sends it, and the data as the client wrote it. callID is
// the same in every attempt, so that the upstream can know a repeated one.
func callBody(c router.Call, callID string) []byte {
	b := make([]byte, 0, len(c.Data)+len(c.Event)+len(c.Identity.Claims)+512)
	b = field(b, '{', "callId", callID)
	b = field(b, ',', "event", c.Event)
	if c.ID != nil {
		b = raw(b, "id", c.ID)
	}
	if c.Room != "" {
		b = field(b, ',', "room", c.Room)
	}
	b = field(b, ',', "user", c.Identity.UserID)
	b = raw(b, "guest", truth(c.Identity.Guest))
	b = raw(b, "claims", c.Identity.Claims)
	b = field(b, ',', "connection", c.Connection)
	if c.Peer.IsValid() {
		b = field(b, ',', "address", c.Peer.String())
	}
	return append(raw(b, "data", c.Data), '}')
}

// field appends a field with text, behind a bracket or comma.
func field(b []byte, before byte, key, text string) []byte {
	b = append(append(append(b, before, '"'), key...), '"', ':')
	return jsonscan.AppendQuoted(b, text)
}

// raw appends a field with JSON; nil is null.
func raw(b []byte, key string, value []byte) []byte {
	b = append(append(append(b, ',', '"'), key...), '"', ':')
	if value == nil {
		return append(b, "null"...)
	}
	return append(b, value...)
}

func truth(v bool) []byte {
	if v {
		return []byte("true")
	}
	return []byte("false")
}
