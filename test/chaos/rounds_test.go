package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
	"github.com/moonx-farm/ws-gateway/test/chaos/check"
)

// read runs the subscribers until the returned function is called.
func (r *run) read() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	var reading sync.WaitGroup
	for _, s := range r.subscribers {
		reading.Go(func() { s.live(ctx) })
	}
	return func() { cancel(); reading.Wait() }
}

// outcome is what a round ends with.
type outcome struct {
	record  check.Record
	service time.Duration // from the end of all faults until every gateway served again
	settled time.Duration // until everybody had got everything
}

// round publishes for a while, with what else happens then, heals, and waits
// until all is well.
func (r *run) round(d time.Duration, happens func(ctx context.Context)) outcome {
	ctx, cancel := context.WithTimeout(r.t.Context(), d)
	defer cancel()
	writing, stop := context.WithCancel(r.t.Context())
	defer stop()
	more, giveUp := context.WithCancel(r.t.Context())
	defer giveUp()
	var all sync.WaitGroup
	for _, p := range r.publishers {
		all.Go(func() { p.live(writing, more) })
	}
	happens(ctx)
	<-ctx.Done()
	r.calm.Store(true)
	defer r.calm.Store(false)
	healed := r.history.Now()
	r.history.AddFault(check.Fault{Name: "the end of a round", Gateway: check.All, Start: healed, End: healed})

	var c outcome
	r.within("every gateway serves again", healed, func() bool {
		return !slices.ContainsFunc(r.gateways, func(g *gateway) bool { return !r.served[g.n].since(healed) }) && r.ready()
	})
	c.service = r.history.Now() - healed
	stop()
	defer time.AfterFunc(r.bound, giveUp).Stop()
	all.Wait()
	r.mark()
	c.settled, c.record = r.settle()
	r.processes()
	return c
}

// within waits until something holds, and notes as a problem that it does not.
func (r *run) within(what string, since time.Duration, holds func() bool) {
	for !holds() {
		if r.history.Now()-since > r.bound {
			r.problem("not within %v of healing: %s", r.bound, what)
			return
		}
		sleep(r.t.Context(), 20*time.Millisecond)
	}
}

// mark publishes one last message in every room.
func (r *run) mark() {
	ctx, cancel := context.WithTimeout(r.t.Context(), r.bound)
	defer cancel()
	var all sync.WaitGroup
	for i := range r.publishers {
		p := r.publishers[i]
		all.Go(func() {
			defer p.way.close()
			for n := i; n < len(r.names); n += len(r.publishers) {
				if !p.message(ctx, r.names[n]) {
					r.problem("%s takes no message within %v of healing", r.names[n], r.bound)
				}
			}
		})
	}
	all.Wait()
}

// settle waits until every subscriber has got everything, and records it all.
func (r *run) settle() (time.Duration, check.Record) {
	begun := r.history.Now()
	final, err := r.redis.logs(r.t.Context(), r.redis.now(), false)
	if err != nil {
		r.t.Fatal(err)
	}
	r.within("every subscriber has got everything", begun, func() bool {
		for _, s := range r.subscribers {
			for _, room := range s.rooms {
				if log := final[room].Entries; len(log) > 0 && s.stands(room) != log[len(log)-1] {
					return false
				}
			}
		}
		return true
	})
	took := r.history.Now() - begun
	rec := r.history.Record()
	rec.Final, rec.Stored, rec.Joined = final, map[string][]check.Stored{}, map[string][]string{}
	for _, s := range r.subscribers {
		rec.Joined[s.name] = s.rooms
	}
	for i, room := range r.names {
		if rec.Stored[room], err = r.stored(r.gateways[i%len(r.gateways)], room); err != nil {
			r.problem("read %s: %v", room, err)
		}
	}
	return took, rec
}

// stored reads a room's history through a gateway.
func (r *run) stored(g *gateway, room string) ([]check.Stored, error) {
	var out []check.Stored
	for since := ""; ; {
		path := "/api/v1/rooms/" + url.PathEscape(room) + "/history?limit=1000&since=" + url.QueryEscape(since)
		if since == "" {
			path = strings.TrimSuffix(path, "&since=")
		}
		status, body, err := g.get(r.t.Context(), address(g.admin), path)
		if err != nil || status != http.StatusOK {
			return nil, fmt.Errorf("status %d, %w: %s", status, err, body)
		}
		var page struct {
			Pos          string
			More         bool
			Publications []struct {
				Pos  string
				Data json.RawMessage
			}
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, err
		}
		for _, p := range page.Publications {
			pos, err := wire.ParsePosition(p.Pos)
			if err != nil {
				return nil, err
			}
			key, _ := content(p.Data)
			out = append(out, check.Stored{Pos: pos, Key: key, Sum: sum(p.Data)})
		}
		if since = page.Pos; !page.More {
			return out, nil
		}
	}
}

// processes notes what is wrong with those of the gateways.
func (r *run) processes() {
	for _, g := range r.gateways {
		if !g.alive() {
			r.problem("gateway %d has ended by itself", g.n)
		}
		for _, c := range g.complaints() {
			r.problem("%s", c)
		}
	}
}
