package hub

import (
	"strings"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

var errRooms = wire.NewError(wire.LimitExceeded, "this instance holds as many rooms as it may")

// ofUser tells whether a room is a user's own: it lasts as long as the user's
// connections, and they are what is bounded. Rooms below it are not.
func ofUser(name string) bool {
	user, ok := strings.CutPrefix(name, wire.UserRoomPrefix)
	return ok && !strings.Contains(user, ":")
}

// countRoom counts a new room; false when there are as many as may be.
func (h *Hub) countRoom(name string) bool {
	if !ofUser(name) {
		if n := h.named.Add(1); h.cfg.MaxNamedRooms > 0 && n > int64(h.cfg.MaxNamedRooms) {
			h.named.Add(-1)
			return false
		}
	}
	h.roomCount.Add(1)
	return true
}

// discountRoom forgets a room that countRoom has counted.
func (h *Hub) discountRoom(name string) {
	if !ofUser(name) {
		h.named.Add(-1)
	}
	h.roomCount.Add(-1)
}
