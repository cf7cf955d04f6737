package ws

import (
	"runtime"
	"testing"
	"weak"

	"github.com/coder/websocket"
)

func forgotten(t *testing.T) weak.Pointer[websocket.Conn] {
	t.Helper()
	d, err := newDecoder()
	if err != nil {
		t.Fatal(err)
	}
	return weak.Make(d.conn)
}

// The pool drops decoders at every other collection.
func TestADecoderThatThePoolDropsIsFreed(t *testing.T) {
	p := forgotten(t)
	for range 3 {
		runtime.GC()
	}
	if p.Value() != nil {
		t.Error("it is held for ever")
	}
}
