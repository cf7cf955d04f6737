package httpapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/moonx-farm/ws-gateway/internal/problem"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	// publisher is the scope of backends' idempotency keys.
	publisher = "backend"
	// maxBatch is the most publications of one batch.
	maxBatch = 1000
	// maxConnectionID is the longest string that is looked up as a connection.
	maxConnectionID = 64
)

// publication is what a backend publishes.
type publication struct {
	room, user, connection string
	everyone               bool

	out router.Outgoing
}

// fields are those of a publication; maxData bounds its data.
func (p *publication) fields(maxData int) fields {
	return fields{
		"room":           roomName(&p.room),
		"user":           userID(&p.user),
		"connection":     text("connection", maxConnectionID, &p.connection),
		"everyone":       yes("everyone", &p.everyone),
		"event":          text("event", wire.MaxEventName, &p.out.Event),
		"data":           value("data", maxData, &p.out.Data),
		"idempotencyKey": text("idempotencyKey", router.MaxKey, &p.out.IdempotencyKey),
		"conflateKey":    text("conflateKey", router.MaxKey, &p.out.ConflateKey),
		"except":         list("except", wire.MaxExcept, &p.out.Except),
	}
}

// published is where a publication stands: room, offset and pos in rooms with
// history, the room alone in others.
type published struct {
	Room string `json:"room,omitempty"`
	place
}

// place is a position in an answer.
type place struct {
	Offset *uint64 `json:"offset,omitempty"`
	Pos    string  `json:"pos,omitempty"`
}

func placeOf(p wire.Position) place {
	if p.IsZero() {
		return place{}
	}
	return place{&p.Offset, p.String()}
}

// publish handles POST /publish.
func (a *API) publish(r *request) (any, error) {
	var p publication
	if err := r.object(p.fields(a.cfg.MaxData)); err != nil {
		return nil, err
	}
	return a.send(r.Context(), &p)
}

// targets counts whom a publication names.
func (p *publication) targets() int {
	n := 0
	for _, named := range []bool{p.room != "", p.user != "", p.connection != "", p.everyone} {
		if named {
			n++
		}
	}
	return n
}

// send publishes.
func (a *API) send(ctx context.Context, p *publication) (published, error) {
	var room string
	var pos wire.Position
	var err error
	p.out.Publisher = publisher
	switch {
	case p.targets() != 1:
		err = errTo
	case p.room != "":
		room = p.room
		pos, err = a.parts.Publisher.SendRoom(ctx, room, p.out)
	case p.user != "":
		room = wire.UserRoom(p.user)
		pos, err = a.parts.Publisher.SendUser(ctx, p.user, p.out)
	case p.connection != "":
		err = a.parts.Publisher.SendConnection(ctx, p.connection, p.out)
	default:
		err = a.parts.Publisher.SendEveryone(ctx, p.out)
	}
	if err != nil {
		return published{}, err
	}
	a.stats.published.Add(1)
	return published{room, placeOf(pos)}, nil
}

// result is one publication's outcome in a batch: published or a problem.
type result struct {
	Status int `json:"status"`
	published
	Problem *problem.Problem `json:"problem,omitempty"`
}

// publishBatch handles POST /publish/batch: one after the other, in their
// order, each with an outcome of its own.
func (a *API) publishBatch(r *request) (any, error) {
	var items []json.RawMessage
	err := r.object(fields{"publications": func(raw []byte) error {
		if raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
			items = nil
		}
		return nil
	}})
	switch {
	case err != nil:
		return nil, err
	case len(items) == 0 || len(items) > maxBatch:
		return nil, wire.NewError(wire.InvalidMessage, `"publications" is an array of 1 to 1000 publications`)
	}
	out := struct {
		Results []result `json:"results"`
		Failed  int      `json:"failed"`
	}{Results: make([]result, 0, len(items))}
	for _, item := range items {
		res := a.publishOne(r.Context(), item)
		if res.Problem != nil {
			out.Failed++
		}
		out.Results = append(out.Results, res)
	}
	return out, nil
}

func (a *API) publishOne(ctx context.Context, item []byte) result {
	var p publication
	err := p.fields(a.cfg.MaxData).read(item)
	if err == nil {
		var done published
		if done, err = a.send(ctx, &p); err == nil {
			return result{Status: http.StatusOK, published: done}
		}
	}
	prob := a.problemOf(err)
	return result{Status: prob.Status, Problem: &prob}
}
