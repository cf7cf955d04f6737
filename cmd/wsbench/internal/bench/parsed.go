//go:build linux

package bench

import (
	"bytes"
	"hash/maphash"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/gwproto"
)

// remembered is how many messages a loop remembers, a power of two.
const remembered = 2048

// parsedMemory has messages that were taken apart. Members of a room get the same bytes,
// and in rooms that share members nothing but the bytes tells which message it
// is; so one that was taken apart is found by its hash and compared, byte by
// byte. Owned by the loop.
type parsedMemory struct {
	seed  maphash.Seed
	slots []parsedMessage
}

// parsedMessage is one of them; msg is empty until there is one.
type parsedMessage struct {
	msg       []byte
	room      int
	offset    uint64
	hasOffset bool
	body      gwproto.Body
}

func newParsedMemory() parsedMemory {
	return parsedMemory{seed: maphash.MakeSeed(), slots: make([]parsedMessage, remembered)}
}

// find returns the message's place, and whether it is there already.
func (m *parsedMemory) find(payload []byte) (p *parsedMessage, known bool) {
	p = &m.slots[maphash.Bytes(m.seed, payload)&(remembered-1)]
	return p, len(payload) > 0 && bytes.Equal(p.msg, payload)
}
