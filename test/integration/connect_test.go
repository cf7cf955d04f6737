package integration

import "testing"

// BenchmarkConnect is a whole connection: TCP, upgrade, admission, session,
// greeting, the user's room, and the end.
func BenchmarkConnect(b *testing.B) {
	g := start(b, policyWith(10))
	for b.Loop() {
		c, err := g.dial(b.Context(), "ann")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.until(b.Context(), "room_joined"); err != nil {
			b.Fatal(err)
		}
		c.cut()
	}
}
