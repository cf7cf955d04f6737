package wire

import (
	"strings"
	"testing"
)

func TestRoomNamesKeepToTheirAlphabet(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:@/-"
	for c := range 256 {
		name := "r" + string([]byte{byte(c)})
		if got, want := ValidRoom(name), strings.IndexByte(alphabet, byte(c)) >= 0; got != want {
			t.Errorf("ValidRoom(%q) = %v", name, got)
		}
	}
	for name, want := range map[string]bool{
		"":                                   false,
		strings.Repeat("r", MaxRoomName):     true,
		strings.Repeat("r", MaxRoomName+1):   false,
		"chat:lobby":                         true,
		"a/b/c":                              true,
		Everyone:                             false,
		ConnectionRoom("c1"):                 false,
		"chat:*":                             false,
		"{tag}":                              false, // would choose a Redis slot
		"räume":                              false,
		"chat:lobby\n":                       false,
		UserRoom("ann") + ":notes":           true,
		UserRoom(strings.Repeat("\x00", 99)): true,
	} {
		if got := ValidRoom(name); got != want {
			t.Errorf("ValidRoom(%q) = %v", name, got)
		}
	}
}

func TestUserRoomWritesIdsIntoTheAlphabet(t *testing.T) {
	for id, want := range map[string]string{
		"ann":                    "user:ann",
		"ann@example.org":        "user:ann@example.org",
		"A-b_c.9":                "user:A-b_c.9",
		"a:b":                    "user:a/3ab",
		"a/b":                    "user:a/2fb",
		"a b":                    "user:a/20b",
		"jö":                     "user:j/c3/b6",
		"auth0|42":               "user:auth0/7c42",
		"":                       "user:",
		strings.Repeat("x", 123): "user:" + strings.Repeat("x", 123),
		strings.Repeat("x", 124): "user://a3dc6de723c964122eaef13556fdaa3e2e406ff3230fc6588168abdfc43aabe9",
		strings.Repeat("\n", 42): "user://f7d9eb2bb4ab6d60280721924c216e3fa98c453a911ee6da9f8a60abe78671bb",
	} {
		if got := UserRoom(id); got != want || !ValidRoom(got) {
			t.Errorf("UserRoom(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestNoIDReachesTheRoomOfALongOne(t *testing.T) {
	long := UserRoom(strings.Repeat("x", 200))
	digest := strings.TrimPrefix(long, "user://")
	for _, id := range []string{"//" + digest, "/" + digest, digest, ":/" + digest} {
		if UserRoom(id) == long {
			t.Errorf("the id %q has the room of another", id)
		}
	}
}

func TestUserRoomsAreToldByTheirName(t *testing.T) {
	for room, want := range map[string]bool{
		"user":           true, // else "user" and ":" could be joined into one
		"user:":          true,
		"user:ann":       true,
		"user:ann:notes": true,
		"users":          false,
		"users:ann":      false,
		"User:ann":       false,
		"user/ann":       false,
		"chat:user:ann":  false,
		"":               false,
	} {
		if got := IsUserRoom(room); got != want {
			t.Errorf("IsUserRoom(%q) = %v", room, got)
		}
	}
}

func TestAUserOwnsTheirRoomAndTheRoomsBelow(t *testing.T) {
	for _, tc := range []struct {
		id, room string
		want     bool
	}{
		{"ann", "user:ann", true},
		{"ann", "user:ann:notes", true},
		{"ann", "user:ann:", true},
		{"ann", "user:ann:notes:today/1", true},
		{"ann", "user:anna", false},
		{"ann", "user:ann/3anotes", false}, // the user "ann:notes"
		{"ann", "user:an", false},
		{"ann", "user:", false},
		{"ann", "user", false},
		{"ann", "", false},
		{"ann", "chat:user:ann", false},
		{"ann:notes", "user:ann:notes", false},
		{"ann:notes", "user:ann/3anotes", true},
		{"", "user:ann", false},
		{"", "user:", true},
	} {
		if got := OwnsRoom(UserRoom(tc.id), tc.room); got != tc.want {
			t.Errorf("%q owns %q: %v", tc.id, tc.room, got)
		}
	}
}

func FuzzUserRoom(f *testing.F) {
	for _, pair := range [][2]string{
		{"ann", "Ann"}, {"a:b", "a/3ab"}, {"a/b", "a/2fb"}, {"", "/"}, {"a", "a:"}, {"a", "a:b"}, {"ä", "a\u0308"},
		{strings.Repeat("x", 124), strings.Repeat("x", 125)}, {strings.Repeat("x", 123), strings.Repeat("x", 124)},
		{strings.Repeat(":", 41), strings.Repeat(":", 42)},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		roomA, roomB := UserRoom(a), UserRoom(b)
		if !ValidRoom(roomA) || !IsUserRoom(roomA) {
			t.Fatalf("UserRoom(%q) = %q", a, roomA)
		}
		if (a == b) != (roomA == roomB) {
			t.Fatalf("%q and %q have the rooms %q and %q", a, b, roomA, roomB)
		}
		if a != b && (OwnsRoom(roomA, roomB) || OwnsRoom(roomA, roomB+":notes")) {
			t.Fatalf("%q owns the room of %q: %q, %q", a, b, roomA, roomB)
		}
	})
}

func TestANameWithoutARoomIsToldFromTheOthers(t *testing.T) {
	for name, connection := range map[string]string{
		Everyone: "", ConnectionRoom("c1"): "c1", ConnectionRoom(""): "", "lobby": "-", UserRoom("#c1"): "-", "": "-",
	} {
		id, one := ConnectionOf(name)
		if Unnamed(name) != (connection != "-") || one != (name != Everyone && connection != "-") || one && id != connection {
			t.Errorf("%q: unnamed %v, connection %q %v", name, Unnamed(name), id, one)
		}
	}
}

func TestAPublicationSparesItsQuietOriginAndWhomItExcepts(t *testing.T) {
	for name, c := range map[string]struct {
		p    Publication
		want bool
	}{
		"nobody":             {Publication{}, false},
		"an origin":          {Publication{Origin: "c1"}, false},
		"a quiet origin":     {Publication{Origin: "c1", NoEcho: true}, true},
		"another's quiet":    {Publication{Origin: "c2", NoEcho: true}, false},
		"one of the excepts": {Publication{Except: []string{"c2", "c1"}}, true},
		"none of them":       {Publication{Except: []string{"c2"}}, false},
	} {
		if got := c.p.Spares("c1"); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
