package socketio

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
)

// How binary data stands in JSON: towards clients of Socket.IO as a placeholder
// for the attachment of that number, to the rest of the gateway in base64.
const (
	placeholderBegin = `{"_placeholder":true,"num":`
	wrapperBegin     = `{"_binary":true,"base64":"`
)

// Inline returns the text of the same packet without attachments: each
// placeholder in its data is replaced by {"_binary":true,"base64":"…"}. The
// packet must have all its Parts. Placeholders that name no attachment, or one
// that another has named, are a violation of the protocol; an attachment
// without a placeholder is left out.
func (p Packet) Inline() ([]byte, error) {
	if !p.Type.Binary() || len(p.Parts) != p.Attachments {
		return nil, errAttachments
	}
	if err := p.checkJSON("["); err != nil {
		return nil, err
	}
	in := inliner{parts: p.Parts}
	data, err := rewrite(p.Data, in.swap)
	if err != nil {
		return nil, err
	}
	plain := Packet{Type: Event, Namespace: p.Namespace, ID: p.ID}
	if p.IsAck() {
		plain.Type = Ack
	}
	text := plain.Append(make([]byte, 0, len(data)+len(p.Namespace)+len(p.ID)+len("2,")))
	return append(text, data...), nil
}

// inliner puts attachments in the place of their placeholders.
type inliner struct {
	parts [][]byte
	used  [MaxAttachments]bool
}

// swap implements the function that rewrite takes.
func (in *inliner) swap(out []byte, o object) ([]byte, bool, error) {
	if !o.placeholder {
		return out, false, nil
	}
	// One digit is enough for MaxAttachments.
	if o.fields != 2 || len(o.num) != 1 || o.num[0] < '0' || int(o.num[0]-'0') >= min(len(in.parts), MaxAttachments) {
		return nil, false, errAttachments
	}
	n := o.num[0] - '0'
	if in.used[n] {
		return nil, false, errAttachments
	}
	in.used[n] = true
	out = base64.StdEncoding.AppendEncode(append(out, wrapperBegin...), in.parts[n])
	return append(out, `"}`...), true, nil
}

// Detach is the way back: it takes the binary data out of raw JSON and returns
// the JSON with placeholders, and the attachments that they stand for. It
// returns data itself and no attachments when there is none, when there are
// more than MaxAttachments, when the data holds placeholders of its own, which
// a client would take for the gateway's, or when it is not JSON.
func Detach(data []byte) (rest []byte, parts [][]byte) {
	if !bytes.Contains(data, []byte(`"_binary"`)) || jsonscan.Valid(data) != nil {
		return data, nil
	}
	var d detacher
	rest, err := rewrite(data, d.swap)
	if err != nil || len(d.parts) == 0 {
		return data, nil
	}
	return rest, d.parts
}

// detacher takes attachments out.
type detacher struct{ parts [][]byte }

// swap implements the function that rewrite takes.
func (d *detacher) swap(out []byte, o object) ([]byte, bool, error) {
	if o.placeholder {
		return nil, false, errAttachments
	}
	if !o.binary || o.fields != 2 || o.base64 == nil {
		return out, false, nil
	}
	part, ok := decoded(o.base64)
	if !ok {
		return out, false, nil
	}
	if len(d.parts) == MaxAttachments {
		return nil, false, errAttachments
	}
	out = strconv.AppendInt(append(out, placeholderBegin...), int64(len(d.parts)), 10)
	d.parts = append(d.parts, part)
	return append(out, '}'), true, nil
}

// decoded is the data that a raw JSON string holds in base64, written as Inline
// writes it: anything else is the application's own.
func decoded(raw []byte) ([]byte, bool) {
	s, ok := jsonscan.Unquote(raw)
	if !ok {
		return nil, false
	}
	part, err := base64.StdEncoding.Strict().DecodeString(s)
	// The decoder skips line breaks; then there is less than the text's length says.
	return part, err == nil && base64.StdEncoding.EncodedLen(len(part)) == len(s)
}
