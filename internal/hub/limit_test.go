package hub

import (
	"sync"
	"testing"
)

func TestRoomsAreCountedButThoseOfUsers(t *testing.T) {
	h := New(Config{MaxNamedRooms: 10}, nil, nil, nil, nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				if h.countRoom("lobby") {
					h.discountRoom("lobby")
				}
				if !h.countRoom("user:ann") {
					t.Error("a user's room was refused")
				}
			}
		})
	}
	wg.Wait()
	for i := range 11 {
		name := "lobby"
		if i%2 == 0 {
			name = "user:ann:notes" // below a user's room there may be any number
		}
		if ok := h.countRoom(name); ok != (i < 10) {
			t.Errorf("room %d: %v", i, ok)
		}
	}
	if n := h.Stats().Rooms; n != 4010 {
		t.Errorf("%d rooms", n)
	}
	h.discountRoom("lobby")
	if !h.countRoom("another") {
		t.Error("a place that was given back is not free")
	}
}
