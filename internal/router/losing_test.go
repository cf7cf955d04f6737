package router

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// stream is what one reader knows of one room: where it stands, and in which
// epoch.
type stream struct {
	epoch  string
	offset uint64
	pos    string
}

// check takes one frame into account. Whatever is lost must have been said.
func check(t *testing.T, streams map[string]stream, raw []byte) frame {
	var f frame
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Errorf("%v: %s", err, raw)
	}
	at := func(pos string, offset uint64) stream {
		epoch, _, _ := strings.Cut(pos, ".")
		return stream{epoch, offset, pos}
	}
	switch {
	case f.Event == "error":
		t.Errorf("%s", raw)
	case f.Event == "room_joined":
		was, now := streams[f.Data.Room], at(f.Data.Pos, f.Data.Offset)
		if f.Data.Recovered && (was.epoch != now.epoch || was.offset != now.offset) {
			t.Errorf("resumed after %+v: %s", was, raw)
		}
		streams[f.Data.Room] = now
	case f.Event == "gap":
		was, now := streams[f.Data.Room], at(f.Data.Pos, f.Data.Offset)
		if was.epoch == now.epoch {
			t.Errorf("a gap within %+v: %s", was, raw)
		}
		streams[f.Data.Room] = now
	case f.Room != "":
		was, now := streams[f.Room], at(f.Pos, f.Offset)
		if was.epoch != now.epoch || now.offset != was.offset+1 {
			t.Errorf("after %+v: %s", was, raw)
		}
		streams[f.Room] = now
	}
	return f
}

// Where history is evicted all the time, readers are told of every hole and of
// every new epoch, and see nothing twice.
func TestLossIsAlwaysSaid(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		t.Run(fmt.Sprint("elsewhere ", elsewhere), func(t *testing.T) {
			r := start(t, options{rooms: deep, elsewhere: elsewhere, memory: membroker.Config{MemoryBytes: 24 << 10},
				hub: hub.Config{MaxRooms: 10, CatchUpBytes: 8 << 10}})
			defer r.stop()
			in := []string{"room:1", "room:2", "room:3"}
			var gaps, ended atomic.Int64
			var readers, publishers sync.WaitGroup
			for n := range 8 {
				readers.Go(func() {
					defer ended.Add(1)
					streams := map[string]stream{}
					for over := false; !over; {
						c := r.open(sessionOf(fmt.Sprint("reader", n)))
						for _, room := range in {
							c.Text(`{"event":"join_room","data":{"room":"` + room + `"` + since(streams[room].pos) + `}}`)
						}
						for range rand.IntN(100) {
							next := c.Next()
							if next == nil {
								t.Error("the connection ended")
								break
							}
							switch f := check(t, streams, next.Payload()); f.Event {
							case "gap":
								gaps.Add(1)
							case "end":
								over = true
							}
							if rand.IntN(10) == 0 { // anew, from now
								c.Text(`{"event":"join_room","data":{"room":"` + in[rand.IntN(3)] + `"}}`)
							}
						}
						c.Close(wire.Close{Code: 1000})
					}
				})
			}
			for n := range 3 {
				publishers.Go(func() {
					for i := 0; i < 500 || gaps.Load() < 20 && i < 50_000; i++ {
						room := fmt.Sprint("room:", 1+rand.IntN(3))
						if rand.IntN(4) == 0 {
							room = fmt.Sprint("room:filler", rand.IntN(30))
						}
						o := Outgoing{Event: "e", Data: fmt.Appendf(nil, `{"by":%d,"n":%d}`, n, i)}
						if _, err := r.router.SendRoom(context.Background(), room, o); err != nil {
							t.Error(err)
						}
					}
				})
			}
			publishers.Wait()
			for ended.Load() < 8 {
				if err := r.router.SendEveryone(context.Background(), Outgoing{Event: "end"}); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
			readers.Wait()
			if gaps.Load() < 20 {
				t.Errorf("%d rooms evicted, %d gaps seen: nothing was tested", r.mem.Stats().Evicted, gaps.Load())
			}
		})
	}
}

func since(pos string) string {
	if pos == "" {
		return ""
	}
	return `,"since":"` + pos + `"`
}
