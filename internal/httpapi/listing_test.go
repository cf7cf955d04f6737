package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// segment writes a user's id as a segment of a path. Dots are encoded too: "."
// and ".." would be taken for steps.
func segment(id string) string { return strings.ReplaceAll(url.PathEscape(id), ".", "%2E") }

type connections struct {
	User        string
	Count       int
	Connections []struct {
		Connection, User, Address string
		Instance                  string
		Guest                     bool
		ExpiresAt                 int64
		Rooms                     int
	}
	Next string
}

func TestUsersWithOddIdsAreFoundByTheirPath(t *testing.T) {
	r := begin(t)
	odd := []string{"ann", "a/b", "a//b", ".", "..", "a b", "é", "a%2Fb", "a+b", "a?b#c", "auth0|5", "{user}", "😀", `a"b\c`, "a;b=c&d", strings.Repeat("x", 256)}
	of := map[string]*client{}
	for _, id := range odd {
		of[id] = r.join(id)
	}
	for id, c := range of {
		got := good[connections](t, r.get("/users/"+segment(id)+"/connections"))
		if got.User != id || got.Count != 1 || len(got.Connections) != 1 || got.Connections[0].Connection != c.s.ID() || got.Connections[0].User != id {
			t.Errorf("%q: %+v", id, got)
		}
		good[published](t, r.post("/publish", fmt.Sprintf(`{"user":%s,"event":"mine"}`, quoted(id))))
		c.until("mine")
	}
	for id, c := range of {
		if n := c.count("mine"); n != 1 {
			t.Errorf("%q got %d messages", id, n)
		}
	}
	for _, path := range []string{"%ff", strings.Repeat("x", 257)} {
		refused(t, r.get("/users/"+path+"/connections"), 400, "invalid_message")
	}
	if got := good[connections](t, r.get("/users/stranger/connections")); got.Count != 0 || got.Connections == nil || got.Next != "" {
		t.Errorf("%+v", got)
	}
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func TestConnectionsOfAUserComeInPages(t *testing.T) {
	r := begin(t)
	var want []string
	for range 7 {
		want = append(want, r.join("ann", "lobby").s.ID())
	}
	r.join("bob")
	slices.Sort(want)
	var got []string
	for after, pages := "", 0; pages == 0 || after != ""; pages++ {
		page := good[connections](t, r.get("/users/ann/connections?limit=3&after="+url.QueryEscape(after)))
		if len(page.Connections) > 3 || page.Count != 7 || pages > 2 {
			t.Fatalf("page %d: %+v", pages, page)
		}
		for _, c := range page.Connections {
			got = append(got, c.Connection)
			if c.Address != "192.0.2.7" || c.Instance != instance || c.Rooms != 2 || c.Guest || c.ExpiresAt == 0 {
				t.Errorf("%+v", c)
			}
		}
		after = page.Next
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRoomsAndMembersComeInPages(t *testing.T) {
	r := begin(t)
	for i := range 250 {
		r.join(fmt.Sprintf("u%03d", i), fmt.Sprintf("many:%03d", i), "lobby")
	}
	type rooms struct {
		Rooms []struct {
			Room        string
			Connections int
		}
		Next string
	}
	for query, want := range map[string]struct{ pages, rooms int }{
		"prefix=many%3A": {3, 250}, "prefix=many%3A1&limit=40": {3, 100}, "limit=1000": {1, 501}, "prefix=none": {1, 0}, "prefix=many%3A&limit=50": {5, 250},
	} {
		var names []string
		pages := 0
		for after := ""; pages == 0 || after != ""; pages++ {
			page := good[rooms](t, r.get("/rooms?"+query+"&after="+url.QueryEscape(after)))
			for _, room := range page.Rooms {
				names = append(names, room.Room)
				if want := map[bool]int{true: 250, false: 1}[room.Room == "lobby"]; room.Connections != want {
					t.Errorf("%+v", room)
				}
			}
			after = page.Next
		}
		if pages != want.pages || len(names) != want.rooms || !slices.IsSorted(names) || len(slices.Compact(names)) != want.rooms {
			t.Errorf("%s: %d pages with %d rooms, want %+v", query, pages, len(names), want)
		}
	}
	type members struct {
		Room        string
		Connections int
		Members     []string
		Next        string
	}
	var users []string
	for after, pages := "", 0; pages == 0 || after != ""; pages++ {
		page := good[members](t, r.get("/rooms/lobby/members?after="+url.QueryEscape(after)))
		if page.Connections != 250 || len(page.Members) > 100 || pages > 2 {
			t.Fatalf("page %d: %+v", pages, page)
		}
		users, after = append(users, page.Members...), page.Next
	}
	if len(users) != 250 || !slices.IsSorted(users) {
		t.Errorf("%d members: %q", len(users), users)
	}
	if got := good[members](t, r.get("/rooms/"+segment("many:empty/one")+"/members")); got.Room != "many:empty/one" || got.Members == nil || len(got.Members) != 0 {
		t.Errorf("%+v", got)
	}
	for _, path := range []string{"/rooms", "/rooms/lobby/members", "/rooms/lobby/history", "/users/u001/connections"} {
		for _, limit := range []string{"0", "-1", "1001", "x", "", "99999999999999999999"} {
			refused(t, r.get(path+"?limit="+limit), 400, "invalid_message")
		}
		refused(t, r.get(path+"?limit=1&limit=2"), 400, "invalid_message")
		refused(t, r.get(path+"?%zz"), 400, "invalid_message")
	}
	census := good[map[string]int](t, r.get("/counts"))
	if census["connections"] != 250 || census["users"] != 250 || census["rooms"] != 501 || census["memberships"] != 750 {
		t.Errorf("%v", census)
	}
}

func TestTheHistoryIsReadInPagesAndBoundedInBytes(t *testing.T) {
	r := begin(t)
	for i := range 12 { // the room keeps 10
		good[published](t, r.post("/publish", fmt.Sprintf(`{"room":"lobby","event":"e","data":"%d%s"}`, i, strings.Repeat("d", 1000))))
	}
	type history struct {
		Offset       uint64
		Pos          string
		More         bool
		Publications []struct {
			Event, Pos string
			Offset     uint64
			Timestamp  int64
			Data       string
		}
	}
	var offsets []uint64
	since := ""
	for pages := 0; ; pages++ {
		page := good[history](t, r.get("/rooms/lobby/history?limit=5"+since))
		if len(page.Publications) > 3 || pages > 5 { // 4,000 bytes
			t.Fatalf("%d publications on page %d", len(page.Publications), pages)
		}
		for _, p := range page.Publications {
			offsets = append(offsets, p.Offset)
			if p.Timestamp == 0 || !strings.HasPrefix(p.Data, fmt.Sprint(p.Offset-1)) {
				t.Errorf("%+v", p)
			}
		}
		if since = "&since=" + page.Pos; !page.More {
			break
		}
	}
	if !slices.Equal(offsets, []uint64{3, 4, 5, 6, 7, 8, 9, 10, 11, 12}) {
		t.Errorf("offsets %v", offsets)
	}
	refused(t, r.get("/rooms/lobby/history?since=x"), 400, "invalid_message")
	refused(t, r.get("/rooms/a%20b/history"), 400, "invalid_message")
	refused(t, r.get("/rooms/many:1/history"), 403, "forbidden")
	got := r.get("/rooms/lobby/history?since=" + wire.Position{Epoch: 1, Offset: 1, Nonce: 1}.String())
	refused(t, got, 410, "insufficient_state")
	if !strings.Contains(string(got.body), `"reason":"epoch_changed"`) {
		t.Errorf("%v", got)
	}
}

func TestTheInstanceSaysHowLoadedItIs(t *testing.T) {
	r := begin(t)
	r.join("ann")
	type instances struct {
		Instances []struct {
			Instance, Version, State, Zone, URL, Address string
			Connections, Capacity                        int
			Ready                                        bool
			Memory, StartedAt                            int64
		}
	}
	type balance struct {
		Instances, Ready, Draining, Connections, Capacity int
		Load, Mean, Spread                                float64
		Optimal                                           string
	}
	i := good[instances](t, r.get("/instances")).Instances
	if len(i) != 1 || i[0].Instance != instance || i[0].Version != "v0" || i[0].Connections != 1 || i[0].Capacity != 200 || !i[0].Ready ||
		i[0].State != "ready" || i[0].Zone != "a" || i[0].URL != "wss://gateway-1.example" || i[0].Address != "192.0.2.1:3007" ||
		i[0].Memory != 1<<20 || i[0].StartedAt == 0 {
		t.Errorf("%+v", i)
	}
	if b := good[balance](t, r.get("/load-balancer")); b != (balance{1, 1, 0, 1, 200, 1.0 / 200, 1, 0, instance}) {
		t.Errorf("%+v", b)
	}
	for range 2 { // again does no harm
		if d := good[struct {
			Instance string
			Draining int
		}](t, r.post("/drain", `{"instance":"`+instance+`"}`)); d.Instance != instance || d.Draining != 1 || !r.gate.draining.Load() {
			t.Errorf("%+v", d)
		}
	}
	if i := good[instances](t, r.get("/instances")).Instances; i[0].Ready || i[0].State != "draining" {
		t.Errorf("while draining: %+v", i)
	}
	if b := good[balance](t, r.get("/load-balancer")); b != (balance{Instances: 1, Draining: 1, Connections: 1, Load: 1}) {
		t.Errorf("while draining: %+v", b)
	}
	refused(t, r.post("/drain", `{"instance":"another"}`), 404, "not_found")
}

func TestWhoHasNotAnsweredIsNamed(t *testing.T) {
	r := start(t, setup{keys: []string{key}, parts: func(p *httpapi.Parts) {
		half := partly{*p}
		p.Membership, p.Directory, p.Instances, p.Lookup = half, half, half, half
	}})
	r.join("ann", "lobby")
	for path, body := range map[string]string{
		"/users/ann/connections": "", "/rooms": "", "/rooms/lobby": "", "/rooms/lobby/members": "", "/counts": "", "/load-balancer": "",
		"/subscribe": `{"user":"ann","room":"live"}`, "/unsubscribe": `{"user":"ann","room":"live"}`,
	} {
		got := r.get
		if body != "" {
			got = func(path string) answered { return r.post(path, body) }
		}
		if names := good[struct{ Missing []string }](t, got(path)).Missing; !slices.Equal(names, missing) {
			t.Errorf("%s: %q", path, names)
		}
	}
}

func TestNoAnswerHoldsAToken(t *testing.T) { // do looks for the canary in every answer
	r := begin(t)
	c := r.join(canary) // in development the token is the user's id
	if !strings.Contains(c.s.Identity().UserID, canary) {
		t.Fatal("the test has no token to look for")
	}
	for _, path := range []string{"/counts", "/instances", "/load-balancer", "/connections/nobody"} {
		r.get(path)
	}
	if got := r.post("/revoke", `{"token":"`+canary+`"}`); got.status != http.StatusOK {
		t.Errorf("%v", got)
	}
	r.post("/revoke", `{"token":"`+canary+`","until":1}`)
	r.post("/revoke", `{"tokens":"`+canary+`"}`)
	for _, e := range r.logged.All() {
		if strings.Contains(fmt.Sprint(e.Message, e.ContextMap()), canary) {
			t.Errorf("logged: %v", e)
		}
	}
}

func TestAUserIsMovedInAndOutOfARoom(t *testing.T) {
	r := begin(t)
	one, two, other := r.join("ann"), r.join("ann"), r.join("bob")
	type affected struct{ Connections int }
	both := `{"user":"ann","room":"live"}`
	if n := good[affected](t, r.post("/subscribe", both)).Connections; n != 2 {
		t.Errorf("%d connections are members", n)
	}
	for _, c := range []*client{one, two} {
		if m := c.until("room_joined"); !strings.Contains(m, `"data":{"room":"live"`) || strings.Contains(m, `"id"`) {
			t.Errorf("joined with %s", m)
		}
	}
	good[published](t, r.post("/publish", `{"room":"live","event":"news"}`))
	one.until("news")
	// Again: nothing happens to who is a member already.
	if n := good[affected](t, r.post("/subscribe", both)).Connections; n != 2 {
		t.Errorf("%d connections are members", n)
	}
	if n := good[affected](t, r.post("/unsubscribe", `{"connection":"`+one.s.ID()+`","room":"live"}`)).Connections; n != 1 {
		t.Errorf("%d connections left", n)
	}
	if m := one.until("room_left"); m != `{"event":"room_left","data":{"room":"live","reason":"removed"}}` {
		t.Errorf("left with %s", m)
	}
	if n := good[affected](t, r.post("/unsubscribe", both)).Connections; n != 1 {
		t.Errorf("%d connections left", n)
	}
	good[published](t, r.post("/publish", `{"room":"live","event":"late"}`))
	good[published](t, r.post("/publish", `{"everyone":true,"event":"end"}`))
	for name, c := range map[string]struct {
		*client
		joined, news int
	}{"one": {one, 1, 1}, "two": {two, 1, 1}, "other": {other, 0, 0}} {
		c.until("end")
		if j, n, l := c.count("room_joined"), c.count("news"), c.count("late"); j != c.joined || n != c.news || l != 0 {
			t.Errorf("%s: joined %d, news %d, late %d", name, j, n, l)
		}
	}
	refused(t, r.post("/subscribe", `{"user":"ann","room":"asleep"}`), 403, "forbidden")
	refused(t, r.post("/subscribe", `{"user":"ann","room":"nowhere"}`), 403, "forbidden")
	refused(t, r.post("/subscribe", `{"user":"ann","room":"user:bob:notes"}`), 403, "forbidden")
	if n := good[affected](t, r.post("/subscribe", `{"user":"ann","room":"user:ann:notes"}`)).Connections; n != 2 {
		t.Errorf("%d connections are in the user's own notes", n)
	}
	if n := good[affected](t, r.post("/subscribe", `{"user":"stranger","room":"live"}`)).Connections; n != 0 {
		t.Errorf("%d connections of nobody", n)
	}
}

func TestSomeOfAUsersConnectionsMayBeInTooManyRooms(t *testing.T) {
	r := begin(t)
	r.join("ann", "many:1", "many:2", "many:3") // and the user's room: four, the limit
	r.join("ann")
	got := good[struct {
		Connections int
		Problem     struct{ Code string }
	}](t, r.post("/subscribe", `{"user":"ann","room":"live"}`))
	if got.Connections != 1 || got.Problem.Code != "limit_exceeded" {
		t.Errorf("%+v", got)
	}
}

func TestConnectionsAreClosedByUserAndById(t *testing.T) {
	r := begin(t)
	one, two, three, other := r.join("ann"), r.join("ann"), r.join("ann"), r.join("bob")
	type affected struct{ Connections int }
	if n := good[affected](t, r.post("/disconnect", `{"connection":"`+one.s.ID()+`"}`)).Connections; n != 1 {
		t.Errorf("%d closed", n)
	}
	if _, over := two.Ended(); over {
		t.Error("another connection of the user is closed too")
	}
	if n := good[affected](t, r.post("/revoke", `{"user":"ann"}`)).Connections; n != 2 {
		t.Errorf("%d closed", n)
	}
	for _, c := range []*client{one, two, three} {
		if why, over := c.Ended(); !over || why.Code != wire.CloseDisconnected {
			t.Errorf("closed %v with %v", over, why)
		}
	}
	if _, over := other.Ended(); over {
		t.Error("another user's connection is closed")
	}
	if n := good[affected](t, r.post("/disconnect", `{"user":"ann"}`)).Connections; n != 0 {
		t.Errorf("%d closed of a user without connections", n)
	}
}
