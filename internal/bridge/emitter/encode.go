package emitter

import (
	"github.com/moonx-farm/ws-gateway/internal/codec"
	"github.com/moonx-farm/ws-gateway/internal/codec/socketio"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// encodings are the frames of one event, encoded when the first receiver of a
// codec is met, once.
type encodings []encoding

type encoding struct {
	codec  codec.Codec
	frames []*wire.Frame
}

func (all *encodings) of(c codec.Codec, e *Event) []*wire.Frame {
	for _, one := range *all {
		if one.codec == c {
			return one.frames
		}
	}
	frames := encode(c, e)
	*all = append(*all, encoding{c, frames})
	return frames
}

// encode gives clients of Socket.IO the arguments as they were published, with
// attachments, and others one value.
func encode(c codec.Codec, e *Event) []*wire.Frame {
	dialect, ok := c.(socketio.Codec)
	if !ok {
		return []*wire.Frame{c.Event(wire.Event{Name: e.Name, Data: e.Data()})}
	}
	p := socketio.Packet{Type: socketio.Event}
	if ns := dialect.Namespace(); ns != root {
		p.Namespace = []byte(ns)
	}
	p.Data, p.Parts = socketio.Detach(socketio.EventData(e.Name, e.Args))
	if p.Attachments = len(p.Parts); p.Attachments > 0 {
		p.Type = socketio.BinaryEvent
	}
	frames := []*wire.Frame{p.Frame()}
	for _, part := range p.Parts {
		frames = append(frames, wire.NewFrame(wire.Binary, append(wire.Buffer(len(part)), part...)))
	}
	return frames
}
