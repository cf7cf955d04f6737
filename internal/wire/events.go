package wire

// The events a client may send (gateway.v1).
const (
	EventAuthenticate = "authenticate"
	EventJoinRoom     = "join_room"
	EventLeaveRoom    = "leave_room"
	EventPublish      = "publish"
	EventHistory      = "history"
	EventPresence     = "presence"
	EventPing         = "ping"
)

// The events only the gateway sends: replies and server events.
const (
	EventConnected     = "connected"
	EventAuthenticated = "authenticated"
	EventError         = "error"
	EventRoomJoined    = "room_joined"
	EventRoomLeft      = "room_left"
	EventPublished     = "published"
	EventPong          = "pong"
	EventMemberJoined  = "member_joined"
	EventMemberLeft    = "member_left"
	EventTokenExpiring = "token_expiring" //nolint:gosec // no credential
	EventGap           = "gap"
	EventReconnect     = "reconnect"
)

// MaxEventName is the longest event name in bytes.
const MaxEventName = 128

// Reserved reports whether an event name belongs to the gateway. Nobody may
// publish such an event: a client could else forge a redirect or a gap.
func Reserved(event string) bool {
	switch event {
	case EventAuthenticate, EventJoinRoom, EventLeaveRoom, EventPublish, EventHistory, EventPresence, EventPing,
		EventConnected, EventAuthenticated, EventError, EventRoomJoined, EventRoomLeft, EventPublished, EventPong,
		EventMemberJoined, EventMemberLeft, EventTokenExpiring, EventGap, EventReconnect:
		return true
	}
	return false
}

// CheckPublishable tells whether anybody may publish an event of this name.
func CheckPublishable(event string) error {
	switch {
	case event == "" || len(event) > MaxEventName:
		return NewError(InvalidMessage, "an event name has 1 to 128 bytes")
	case Reserved(event):
		return NewError(Forbidden, "the event name is reserved for the gateway")
	}
	return nil
}
