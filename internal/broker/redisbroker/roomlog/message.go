package roomlog

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Kind says what a message on a room's channel is.
type Kind uint8

// The kinds of messages.
const (
	// Published is a publication as it was stored.
	Published Kind = iota + 1
	// EpochEnded says that the room's log is continued in another epoch.
	EpochEnded
	// Notice is what an instance tells the others about the room.
	Notice
	// Canary comes back to who sent it, and shows that a subscription lives.
	Canary
)

// Message is what arrives on a room's channel.
type Message struct {
	Kind Kind
	// Pub is the publication of Published, with Room, Position and Time.
	Pub *wire.Publication
	// Prev is the nonce of the entry before Pub in its epoch, 0 at the
	// beginning and in rooms without history.
	Prev uint64
	// Top is the room's position in the new epoch, with EpochEnded.
	Top wire.Position
	// Payload is that of Notice and Canary.
	Payload []byte
}

// Every message begins with the version of its format and a byte for its
// kind. What follows is written by the scripts for publications and epochs:
// numbers in decimal and epochs in hex, each with a space before it, then a
// line break.
const (
	formatVersion = '1'
	letterPublish = 'P'
	letterEpoch   = 'E'
	letterNotice  = 'N'
	letterCanary  = 'C'
)

var errMessage = errors.New("malformed message on a room's channel")

// Decode reads a message from a room's channel. Publications and payloads keep
// the slice. It fails for what no gateway of this version writes, and never
// panics.
func Decode(room string, payload []byte) (Message, error) {
	if len(payload) < 2 || payload[0] != formatVersion {
		return Message{}, errMessage
	}
	kind, rest := payload[1], payload[2:]
	switch kind {
	case letterNotice:
		return Message{Kind: Notice, Payload: rest}, nil
	case letterCanary:
		return Message{Kind: Canary, Payload: rest}, nil
	case letterPublish:
		return decodePublished(room, rest)
	case letterEpoch:
		top, err := parsePosition(rest)
		if err != nil {
			return Message{}, err
		}
		return Message{Kind: EpochEnded, Top: top}, nil
	}
	return Message{}, errMessage
}

// CanaryPayload is what to publish to a channel for Decode to return it as a
// Canary.
func CanaryPayload(mark []byte) []byte {
	return append([]byte{formatVersion, letterCanary}, mark...)
}

// decodePublished reads " epoch offset nonce prev time\n" and the publication.
func decodePublished(room string, rest []byte) (Message, error) {
	head, blob, found := bytes.Cut(rest, []byte{'\n'})
	if !found {
		return Message{}, errMessage
	}
	n := numbers{rest: head}
	pos := n.position()
	prev := n.uint(10, wire.Bits48)
	at := n.uint(10, maxTime)
	pub, err := decodeBlob(blob)
	if !n.done() || err != nil {
		return Message{}, errMessage
	}
	pub.Room, pub.Position, pub.Time = room, pos, int64(at) //nolint:gosec // at most maxTime
	return Message{Kind: Published, Pub: pub, Prev: prev}, nil
}

const (
	maxOffset = 1<<53 - 1 // what a Lua number counts exactly
	maxTime   = 1<<53 - 1 // Unix milliseconds
)

// numbers reads numbers that each have a space before them.
type numbers struct {
	rest []byte
	bad  bool
}

// uint reads the next number of a base, which must be at most most.
func (n *numbers) uint(base int, most uint64) uint64 {
	if len(n.rest) < 2 || n.rest[0] != ' ' {
		n.bad = true
		return 0
	}
	end := bytes.IndexByte(n.rest[1:], ' ') + 1
	if end == 0 {
		end = len(n.rest)
	}
	v, err := strconv.ParseUint(string(n.rest[1:end]), base, 64)
	if err != nil || v > most {
		n.bad = true
	}
	n.rest = n.rest[end:]
	return v
}

// position reads epoch, offset and nonce.
func (n *numbers) position() wire.Position {
	return wire.Position{Epoch: n.uint(16, wire.Bits48), Offset: n.uint(10, maxOffset), Nonce: n.uint(10, wire.Bits48)}
}

// done tells whether all was read, and was right.
func (n *numbers) done() bool { return !n.bad && len(n.rest) == 0 }

// parsePosition reads " epoch offset nonce".
func parsePosition(text []byte) (wire.Position, error) {
	n := numbers{rest: text}
	pos := n.position()
	if !n.done() {
		return wire.Position{}, errMessage
	}
	return pos, nil
}
