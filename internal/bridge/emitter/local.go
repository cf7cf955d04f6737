package emitter

import "context"

// Aim says whom a message means: the sockets of the namespace that are in one
// of Rooms, or all when there are none, but nobody who is in one of Except. A
// socket is also meant by its id, as if that were a room that it is in alone.
type Aim struct {
	Namespace     string // "/" for plain WebSocket clients and the root
	Rooms, Except []string
}

// Event is an event as clients get it.
type Event struct {
	Name string // publishable; not one that Socket.IO reserves
	// Args are JSON values with the commas between them, empty for none. Binary
	// data is {"_binary":true,"base64":"…"}.
	Args []byte
	// Count is how many Args are.
	Count int
}

// Data is the arguments as one JSON value: nil for none, the only one, or an
// array of several.
func (e *Event) Data() []byte {
	switch e.Count {
	case 0:
		return nil
	case 1:
		return e.Args
	}
	return append(append(append(make([]byte, 0, len(e.Args)+2), '['), e.Args...), ']')
}

// Local acts on the connections of this instance, and on no others. Its calls
// come one at a time, in the order of messages. Names of rooms may be any text:
// one that is no room's name means nobody.
type Local interface {
	// Occupied tells whether the room may have members in the namespace.
	Occupied(namespace, room string) bool
	// Deliver sends an event to each who is meant, once, and returns how many
	// they are. Nothing is kept. It may wait while the instance lags as a whole,
	// never for a slow client. The event's bytes may be kept.
	Deliver(ctx context.Context, to Aim, e Event) int
	// Join makes those who are meant members of rooms, and returns how many
	// memberships there are now. The error says why one could not be.
	Join(ctx context.Context, who Aim, rooms []string) (int, error)
	// Leave ends memberships and returns how many. The error is as with Join.
	Leave(who Aim, rooms []string) (int, error)
	// Disconnect ends the sockets that are meant, and with transport the
	// connections under them, and returns how many sockets they are.
	Disconnect(who Aim, transport bool) int
}
