package router

import (
	"context"

	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// RoomState is what there is to a room, whoever is in it.
type RoomState struct {
	Rule *policy.Room  // nil: the policy in force has none, and refuses the room
	Top  wire.Position // of the latest publication; zero without history
}

// Room looks at a room. Errors are wire.Errors.
func (r *Router) Room(ctx context.Context, room string) (RoomState, error) {
	if !wire.ValidRoom(room) {
		return RoomState{}, errRoomName
	}
	state := RoomState{Rule: r.rule(room)}
	if !r.keeps(room) {
		return state, nil
	}
	page, err := r.broker.History(ctx, room, wire.Position{}, 0)
	state.Top = page.Top
	return state, err
}
