package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// MaxRoomName is the longest room name in bytes.
const MaxRoomName = 128

// UserRoomPrefix begins the name of every room that belongs to one user.
const UserRoomPrefix = "user:"

// ValidRoom reports whether name has 1 to 128 bytes of [A-Za-z0-9_.:@/-].
func ValidRoom(name string) bool {
	if name == "" || len(name) > MaxRoomName {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !userByte(c) && c != ':' && c != '/' {
			return false
		}
	}
	return true
}

// UserRoom is the room of a user. Bytes of the id outside the room alphabet,
// and ':' and '/', are written as '/' and two hex digits; an id too long for a
// room name as "//" and its SHA-256. The mapping is injective, so one user
// can never reach another's room.
func UserRoom(userID string) string {
	var b strings.Builder
	b.Grow(len(UserRoomPrefix) + len(userID))
	b.WriteString(UserRoomPrefix)
	for i := range len(userID) {
		if c := userID[i]; userByte(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('/')
			b.WriteString(hex.EncodeToString([]byte{c}))
		}
	}
	if b.Len() > MaxRoomName {
		sum := sha256.Sum256([]byte(userID))
		return UserRoomPrefix + "//" + hex.EncodeToString(sum[:])
	}
	return b.String()
}

// IsUserRoom reports whether a room belongs to one user: it is that user's
// room, or one below it such as "user:ann:notes".
func IsUserRoom(room string) bool { return strings.HasPrefix(room, UserRoomPrefix) || room == "user" }

// OwnsRoom reports whether ownRoom (from UserRoom) is room or stands above it.
func OwnsRoom(ownRoom, room string) bool {
	rest, ok := strings.CutPrefix(room, ownRoom)
	return ok && (rest == "" || rest[0] == ':')
}

func userByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("_.@-", c) >= 0
}

// Everyone is the name under which a publication to all connections travels.
// It is no valid room name, so no client can join it or publish to it.
const Everyone = "*"

// connectionPrefix begins the name under which a publication to one connection
// travels. As with Everyone, it is in no valid room name.
const connectionPrefix = "#"

// ConnectionRoom is the name under which a publication to one connection
// travels.
func ConnectionRoom(id string) string { return connectionPrefix + id }

// ConnectionOf returns the connection that a name made by ConnectionRoom
// stands for; ok is false for every other name.
func ConnectionOf(room string) (id string, ok bool) { return strings.CutPrefix(room, connectionPrefix) }

// Unnamed reports whether publications under a name are shown without a room:
// those to everyone and to one connection.
func Unnamed(room string) bool { return room == Everyone || strings.HasPrefix(room, connectionPrefix) }
