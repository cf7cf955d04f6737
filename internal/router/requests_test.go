package router

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// A request of a member of "open:a" (one entry) and "seen:a", and its reply.
func TestEveryRequestHasItsReply(t *testing.T) {
	const pos = `AAAAAAAB.0.AAAAAAAA`
	long := strings.Repeat("r", 129)
	for name, c := range map[string]struct{ ask, want string }{
		"ping":                          {`{"event":"ping","id":7,"data":{}}`, `{"event":"pong","id":7,"data":{"timestamp":_}}`},
		"ping without data":             {`{"event":"ping"}`, `{"event":"pong","data":{"timestamp":_}}`},
		"a negative id":                 {`{"event":"ping","id":-1}`, `{"event":"pong","id":-1,"data":{"timestamp":_}}`},
		"an id of 64 bytes":             {`{"event":"ping","id":"` + long[:64] + `"}`, `{"event":"pong","id":"` + long[:64] + `",…`},
		"an id of 65 bytes":             {`{"event":"ping","id":"` + long[:65] + `"}`, failed("", "invalid_message")},
		"an id of another type":         {`{"event":"ping","id":[1]}`, failed("", "invalid_message")},
		"no JSON":                       {`hello`, failed("", "invalid_message")},
		"no object":                     {`[1]`, failed("", "invalid_message")},
		"no event":                      {`{"id":"x"}`, failed(`"x"`, "invalid_message")},
		"an unknown field of a message": {`{"event":"ping","id":1,"to":"x"}`, failed("1", "invalid_message")},
		"a repeated event":              {`{"event":"ping","id":1,"event":"ping"}`, failed("1", "invalid_message")},
		"an unknown event":              {`{"event":"dance","id":1}`, failed("1", "unknown_event")},
		"an event of the gateway":       {`{"event":"gap","id":1}`, failed("1", "forbidden")},

		"join":                         {`{"event":"join_room","id":"j","data":{"room":"live:b"}}`, `{"event":"room_joined","id":"j","data":{"room":"live:b","recovered":false}}`},
		"join with history":            {`{"event":"join_room","id":"j","data":{"room":"open:b"}}`, `{"event":"room_joined","id":"j","data":{"room":"open:b","offset":0,"pos":_,"recovered":false}}`},
		"join with presence":           {`{"event":"join_room","id":"j","data":{"room":"seen:b"}}`, `{"event":"room_joined","id":"j","data":{"room":"seen:b","recovered":false,"members":["ann"]}}`},
		"join again":                   {`{"event":"join_room","data":{"room":"open:a"}}`, `{"event":"room_joined","data":{"room":"open:a","offset":1,"pos":_,"recovered":false}}`},
		"join from another epoch":      {`{"event":"join_room","data":{"room":"open:a","since":"` + pos + `"}}`, `{"event":"room_joined","data":{"room":"open:a","offset":1,"pos":_,"recovered":false,"reason":"epoch_changed"}}`},
		"join without a room":          {`{"event":"join_room","id":1,"data":{}}`, failed("1", "invalid_message")},
		"join without data":            {`{"event":"join_room","id":1}`, failed("1", "invalid_message")},
		"join with data of no object":  {`{"event":"join_room","id":1,"data":"open:a"}`, failed("1", "invalid_message")},
		"join with an empty room":      {`{"event":"join_room","id":1,"data":{"room":""}}`, failed("1", "invalid_message")},
		"join with a long room":        {`{"event":"join_room","id":1,"data":{"room":"` + long + `"}}`, failed("1", "invalid_message")},
		"join with a strange room":     {`{"event":"join_room","id":1,"data":{"room":"a b"}}`, failed("1", "invalid_message")},
		"join everyone":                {`{"event":"join_room","id":1,"data":{"room":"*"}}`, failed("1", "invalid_message")},
		"join with a room of a number": {`{"event":"join_room","id":1,"data":{"room":1}}`, failed("1", "invalid_message")},
		"join with a bad since":        {`{"event":"join_room","id":1,"data":{"room":"open:a","since":"x"}}`, failed("1", "invalid_message")},
		"join with a since of number":  {`{"event":"join_room","id":1,"data":{"room":"open:a","since":1}}`, failed("1", "invalid_message")},
		"join with an unknown field":   {`{"event":"join_room","id":1,"data":{"room":"open:a","as":"x"}}`, failed("1", "invalid_message")},
		"join with a field twice":      {`{"event":"join_room","id":1,"data":{"room":"open:a","room":"open:b"}}`, failed("1", "invalid_message")},
		"join what nobody joins":       {`{"event":"join_room","id":1,"data":{"room":"wall"}}`, failed("1", "forbidden")},
		"join an unknown room":         {`{"event":"join_room","id":1,"data":{"room":"nowhere"}}`, failed("1", "forbidden")},

		"leave":                       {`{"event":"leave_room","id":1,"data":{"room":"open:a"}}`, `{"event":"room_left","id":1,"data":{"room":"open:a"}}`},
		"leave another room":          {`{"event":"leave_room","id":1,"data":{"room":"open:z"}}`, `{"event":"room_left","id":1,"data":{"room":"open:z"}}`},
		"leave the own room":          {`{"event":"leave_room","id":1,"data":{"room":"user:ann"}}`, failed("1", "forbidden")},
		"leave without a room":        {`{"event":"leave_room","id":1}`, failed("1", "invalid_message")},
		"leave with an unknown field": {`{"event":"leave_room","id":1,"data":{"room":"open:a","since":"x"}}`, failed("1", "invalid_message")},
		"leave with a bad room":       {`{"event":"leave_room","id":1,"data":{"room":null}}`, failed("1", "invalid_message")},

		"publish elsewhere":               {`{"event":"publish","id":1,"data":{"room":"wall","event":"e","data":1}}`, `{"event":"published","id":1,"data":{"room":"wall"}}`},
		"publish with history":            {`{"event":"publish","id":1,"data":{"room":"named:x","event":"e","data":1}}`, `{"event":"published","id":1,"data":{"room":"named:x","offset":1,"pos":_}}`},
		"publish without an id":           {`{"event":"publish","data":{"room":"wall","event":"e","data":1}}`, ``},
		"publish where backends do":       {`{"event":"publish","id":1,"data":{"room":"news","event":"e","data":1}}`, failed("1", "forbidden")},
		"publish where nobody does":       {`{"event":"publish","id":1,"data":{"room":"shut","event":"e","data":1}}`, failed("1", "forbidden")},
		"publish in an unknown room":      {`{"event":"publish","id":1,"data":{"room":"nowhere","event":"e","data":1}}`, failed("1", "forbidden")},
		"publish where not a member":      {`{"event":"publish","id":1,"data":{"room":"open:z","event":"e","data":1}}`, failed("1", "forbidden")},
		"publish without a room":          {`{"event":"publish","id":1,"data":{"event":"e","data":1}}`, failed("1", "invalid_message")},
		"publish without an event":        {`{"event":"publish","id":1,"data":{"room":"wall","data":1}}`, failed("1", "invalid_message")},
		"publish a long event":            {`{"event":"publish","id":1,"data":{"room":"wall","event":"` + long + `"}}`, failed("1", "invalid_message")},
		"publish an event of a number":    {`{"event":"publish","id":1,"data":{"room":"wall","event":5}}`, failed("1", "invalid_message")},
		"publish with a long key":         {`{"event":"publish","id":1,"data":{"room":"wall","event":"e","idempotencyKey":"` + long + `"}}`, failed("1", "invalid_message")},
		"publish with an empty key":       {`{"event":"publish","id":1,"data":{"room":"wall","event":"e","idempotencyKey":""}}`, failed("1", "invalid_message")},
		"publish with a key of a number":  {`{"event":"publish","id":1,"data":{"room":"wall","event":"e","idempotencyKey":1}}`, failed("1", "invalid_message")},
		"publish with a long conflateKey": {`{"event":"publish","id":1,"data":{"room":"wall","event":"e","conflateKey":"` + long + `"}}`, failed("1", "invalid_message")},
		"publish with an echo of text":    {`{"event":"publish","id":1,"data":{"room":"wall","event":"e","echo":"no"}}`, failed("1", "invalid_message")},
		"publish with an unknown field":   {`{"event":"publish","id":1,"data":{"room":"wall","event":"e","from":"x"}}`, failed("1", "invalid_message")},
		"publish with data twice":         {`{"event":"publish","id":1,"data":{"room":"wall","event":"e","data":1,"data":2}}`, failed("1", "invalid_message")},

		"history":                       {`{"event":"history","id":1,"data":{"room":"open:a"}}`, `{"event":"history","id":1,"data":{"room":"open:a","offset":1,"pos":_,"more":false,"publications":[{"event":"first","offset":1,"pos":_,"timestamp":_,"data":{"n":1}}]}}`},
		"history of no entries":         {`{"event":"history","id":1,"data":{"room":"open:a","limit":0}}`, `{"event":"history","id":1,"data":{"room":"open:a","offset":1,"pos":_,"more":false,"publications":[]}}`},
		"history from another epoch":    {`{"event":"history","id":1,"data":{"room":"open:a","since":"` + pos + `"}}`, failed("1", "insufficient_state")},
		"history where not a member":    {`{"event":"history","id":1,"data":{"room":"open:z"}}`, failed("1", "forbidden")},
		"history of a room without":     {`{"event":"history","id":1,"data":{"room":"seen:a"}}`, failed("1", "forbidden")},
		"history without a room":        {`{"event":"history","id":1}`, failed("1", "invalid_message")},
		"history with a bad since":      {`{"event":"history","id":1,"data":{"room":"open:a","since":{}}}`, failed("1", "invalid_message")},
		"history with a negative limit": {`{"event":"history","id":1,"data":{"room":"open:a","limit":-1}}`, failed("1", "invalid_message")},
		"history with a limit of text":  {`{"event":"history","id":1,"data":{"room":"open:a","limit":"1"}}`, failed("1", "invalid_message")},
		"history with a broken limit":   {`{"event":"history","id":1,"data":{"room":"open:a","limit":1.5}}`, failed("1", "invalid_message")},
		"history with a huge limit":     {`{"event":"history","id":1,"data":{"room":"open:a","limit":99999999999999999999}}`, failed("1", "invalid_message")},
		"history with an unknown field": {`{"event":"history","id":1,"data":{"room":"open:a","page":"x"}}`, failed("1", "invalid_message")},

		"presence":                       {`{"event":"presence","id":1,"data":{"room":"seen:a"}}`, `{"event":"presence","id":1,"data":{"room":"seen:a","members":["ann"],"count":1}}`},
		"presence behind the last":       {`{"event":"presence","id":1,"data":{"room":"seen:a","page":"ann"}}`, `{"event":"presence","id":1,"data":{"room":"seen:a","members":[],"count":1}}`},
		"presence where not a member":    {`{"event":"presence","id":1,"data":{"room":"seen:z"}}`, failed("1", "forbidden")},
		"presence of a room without":     {`{"event":"presence","id":1,"data":{"room":"open:a"}}`, failed("1", "forbidden")},
		"presence without a room":        {`{"event":"presence","id":1,"data":{}}`, failed("1", "invalid_message")},
		"presence with a page of number": {`{"event":"presence","id":1,"data":{"room":"seen:a","page":2}}`, failed("1", "invalid_message")},
		"presence with an unknown field": {`{"event":"presence","id":1,"data":{"room":"seen:a","limit":2}}`, failed("1", "invalid_message")},

		"authenticate without a token":               {`{"event":"authenticate","id":1,"data":{}}`, failed("1", "invalid_message")},
		"authenticate with an empty token":           {`{"event":"authenticate","id":1,"data":{"token":""}}`, failed("1", "invalid_message")},
		"authenticate with a token of number":        {`{"event":"authenticate","id":1,"data":{"token":1}}`, failed("1", "invalid_message")},
		"authenticate with an unknown field":         {`{"event":"authenticate","id":1,"data":{"token":"u:ann","user":"ann"}}`, failed("1", "invalid_message")},
		"authenticate with a since of text":          {`{"event":"authenticate","id":1,"data":{"token":"u:ann","since":"` + pos + `"}}`, failed("1", "invalid_message")},
		"authenticate with a bad position":           {`{"event":"authenticate","id":1,"data":{"token":"u:ann","since":{"user:ann":"x"}}}`, failed("1", "invalid_message")},
		"authenticate with a since for a bad room":   {`{"event":"authenticate","id":1,"data":{"token":"u:ann","since":{"a b":"` + pos + `"}}}`, failed("1", "invalid_message")},
		"authenticate with a since for a room twice": {`{"event":"authenticate","id":1,"data":{"token":"u:ann","since":{"a":"` + pos + `","a":"` + pos + `"}}}`, failed("1", "invalid_message")},
		"authenticate again":                         {`{"event":"authenticate","id":1,"data":{"token":"u:ann"}}`, `{"event":"authenticated","id":1,"data":{"userId":"ann","expiresAt":null}}`},
		"authenticate as another user":               {`{"event":"authenticate","id":1,"data":{"token":"u:bob"}}`, failed("1", "forbidden")},
		"authenticate with a bad token":              {`{"event":"authenticate","id":1,"data":{"token":"bad"}}`, failed("1", "unauthenticated")},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, options{}, func(t *testing.T, r *rig) {
				a := r.user("ann")
				a.say(`{"event":"join_room","data":{"room":"open:a"}}`, `{"event":"join_room","data":{"room":"seen:a"}}`,
					`{"event":"publish","data":{"room":"open:a","event":"first","data":{"n":1}}}`)
				if n := len(a.Sent()); n != 3 {
					t.Fatalf("%d frames before the request", n)
				}
				if c.want == "" {
					a.ask(c.ask)
				} else {
					a.ask(c.ask, c.want)
				}
				a.alive()
				a.ask(`{"event":"ping","id":"still"}`, `{"event":"pong","id":"still",…`)
				a.Close(wire.Close{Code: 1000})
				r.empty()
			})
		})
	}
}

func TestErrorsSayWhetherToRetry(t *testing.T) {
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		a := r.user("ann")
		at := time.Now().UnixMilli()
		a.Text(`{"event":"dance","id":"x"}`)
		want := fmt.Sprintf(`{"event":"error","id":"x","data":{"code":"unknown_event","message":"no route takes this event; `+
			`publish {room, event, data} sends to a room","timestamp":%d,"retryable":false}}`, at)
		if got := string(a.Next().Payload()); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		for _, room := range []string{"open:1", "open:2", "open:3"} {
			a.say(`{"event":"join_room","data":{"room":"` + room + `"}}`)
		}
		a.Sent()
		a.say(`{"event":"join_room","id":1,"data":{"room":"open:4"}}`)
		if got := a.heard(); len(got) != 1 || !strings.Contains(got[0], `"code":"limit_exceeded"`) || !strings.HasSuffix(got[0], `"retryable":true}}`) {
			t.Errorf("over the limit of rooms: %s", got)
		}
		if st := r.hub.Stats(); st.Rooms != 4 || st.Memberships != 4 {
			t.Errorf("after a refused join: %+v", st)
		}
		a.ask(`{"event":"join_room","data":{"room":"open:3"}}`, `{"event":"room_joined",…`)
		a.ask(`{"event":"leave_room","data":{"room":"open:3"}}`, `{"event":"room_left",…`)
		a.ask(`{"event":"join_room","data":{"room":"open:4"}}`, `{"event":"room_joined",…`)
		st := r.router.Stats()
		if st.Requests != 8 || st.Errors[wire.UnknownEvent] != 1 || st.Errors[wire.LimitExceeded] != 1 || st.Errors[wire.Internal] != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestReservedEventsAreRefusedToEverybody(t *testing.T) {
	names := []string{"authenticate", "join_room", "leave_room", "publish", "history", "presence", "ping",
		"connected", "authenticated", "error", "room_joined", "room_left", "published", "pong", "member_joined",
		"member_left", "token_expiring", "gap", "reconnect"}
	inBubble(t, options{}, func(t *testing.T, r *rig) {
		a := r.user("ann")
		for _, name := range names {
			a.ask(`{"event":"publish","id":1,"data":{"room":"wall","event":"`+name+`","data":{}}}`, failed("1", "forbidden"))
			// However it is written.
			a.ask(fmt.Sprintf(`{"event":"publish","id":1,"data":{"room":"wall","event":"\u%04x%s","data":{}}}`, name[0], name[1:]), failed("1", "forbidden"))
			o := Outgoing{Event: name}
			_, err1 := r.router.SendRoom(t.Context(), "wall", o)
			_, err2 := r.router.SendUser(t.Context(), "ann", o)
			err3 := r.router.SendEveryone(t.Context(), o)
			n, err4 := r.router.SendConnections([]string{a.s.ID()}, o)
			for _, err := range []error{err1, err2, err3, err4} {
				if !wire.IsCode(err, wire.Forbidden) {
					t.Errorf("a backend's %q: %v", name, err)
				}
			}
			if n != 0 {
				t.Errorf("%q was sent to %d connections", name, n)
			}
		}
		a.expect()
	})
}

func TestABinaryMessageEndsTheConnection(t *testing.T) {
	inBubble(t, options{}, func(_ *testing.T, r *rig) {
		a := r.user("ann")
		a.Receive(wire.Binary, []byte(`{"event":"ping"}`))
		a.Wait()
		a.ended(wire.CloseUnsupported)
		r.empty()
	})
}
