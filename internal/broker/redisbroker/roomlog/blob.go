package roomlog

import (
	"encoding/binary"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// A blob is what the log keeps of a publication besides its place and time:
//
//	version  1 byte
//	flags    1 byte
//	event, publisher, origin, conflate key   each a length (uvarint) and bytes
//	number of spared connections (uvarint), and each as above
//	data     the rest
//
// The idempotency key is not in it: nobody asks for it once it has served.
const (
	blobVersion = 1
	flagNoEcho  = 1
)

// encodeBlob writes the blob of a publication.
func encodeBlob(p *wire.Publication) []byte {
	size := 2 + 5*binary.MaxVarintLen32 + len(p.Event) + len(p.Publisher) + len(p.Origin) + len(p.ConflateKey) + len(p.Data)
	for _, id := range p.Except {
		size += binary.MaxVarintLen32 + len(id)
	}
	b := make([]byte, 0, size)
	var flags byte
	if p.NoEcho {
		flags |= flagNoEcho
	}
	b = append(b, blobVersion, flags)
	for _, field := range [...]string{p.Event, p.Publisher, p.Origin, p.ConflateKey} {
		b = appendText(b, field)
	}
	b = binary.AppendUvarint(b, uint64(len(p.Except)))
	for _, id := range p.Except {
		b = appendText(b, id)
	}
	return append(b, p.Data...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeBlob reads a blob. The publication's data is a part of it, nil if it has
// none.
func decodeBlob(b []byte) (*wire.Publication, error) {
	if len(b) < 2 || b[0] != blobVersion {
		return nil, errMessage
	}
	t := texts{rest: b[2:]}
	pub := &wire.Publication{NoEcho: b[1]&flagNoEcho != 0}
	pub.Event, pub.Publisher, pub.Origin, pub.ConflateKey = t.text(), t.text(), t.text(), t.text()
	spared := t.length()
	if t.bad || spared > wire.MaxExcept {
		return nil, errMessage
	}
	if spared > 0 {
		pub.Except = make([]string, spared)
	}
	for i := range pub.Except {
		pub.Except[i] = t.text()
	}
	if t.bad {
		return nil, errMessage
	}
	if len(t.rest) > 0 {
		pub.Data = t.rest
	}
	return pub, nil
}

// texts reads lengths and texts.
type texts struct {
	rest []byte
	bad  bool
}

func (t *texts) length() uint64 {
	n, size := binary.Uvarint(t.rest)
	if size <= 0 {
		t.bad, t.rest = true, nil
		return 0
	}
	t.rest = t.rest[size:]
	return n
}

func (t *texts) text() string {
	n := t.length()
	if n > uint64(len(t.rest)) {
		t.bad, t.rest = true, nil
		return ""
	}
	s := string(t.rest[:n])
	t.rest = t.rest[n:]
	return s
}
