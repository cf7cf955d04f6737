package emitter

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// carryOut carries out one message. Owned by work.
func (l *Listener) carryOut(a arrival) {
	if a.request {
		l.request(a)
	} else {
		l.event(a)
	}
}

func (l *Listener) event(a arrival) {
	if a.room != "" && !l.parts.Local.Occupied(a.space.name, a.room) {
		l.stats.elsewhere.Add(1)
		return
	}
	m, err := parseMessage(a.payload, l.cfg.MaxData)
	switch {
	case err != nil:
		l.unreadable(a, err)
		return
	case m.namespace != a.space.name, m.kind != packetEvent && m.kind != packetBinaryEvent:
		l.stats.ignored.Add(1)
		return
	}
	if err := publishable(m.event.Name); err != nil {
		l.refused(a, err)
		return
	}
	l.stats.events.Add(1)
	to := Aim{Namespace: a.space.name, Rooms: m.opts.rooms, Except: m.opts.except}
	l.stats.delivered.Add(int64(l.parts.Local.Deliver(l.ctx, to, m.event)))
}

func (l *Listener) request(a arrival) {
	q, readable, err := parseRequest(a.payload, l.cfg.MaxData)
	switch {
	case err != nil:
		l.unreadable(a, err)
	case readable && q.Type == requestServerEmit:
		l.stats.servers.Add(1)
	case !readable || q.Opts == nil:
		l.stats.ignored.Add(1)
	default:
		l.act(a, &q)
	}
}

// act carries out a request for sockets.
func (l *Listener) act(a arrival, q *request) {
	ctx, cancel := context.WithTimeout(l.ctx, requestTime)
	defer cancel()
	who, rooms := q.aim(a.space.name), texts(q.Rooms)
	var err error
	switch q.Type {
	case requestJoin:
		_, err = l.parts.Local.Join(ctx, who, rooms)
	case requestLeave:
		_, err = l.parts.Local.Leave(who, rooms)
	case requestDisconnect:
		l.parts.Local.Disconnect(who, q.Close)
	default:
		l.stats.ignored.Add(1)
		return
	}
	l.stats.requests.Add(1)
	if err != nil && l.ctx.Err() == nil {
		l.refused(a, err)
	}
}

func (l *Listener) unreadable(a arrival, err error) {
	l.stats.unreadable.Add(1)
	l.say("emitter: a message cannot be read", a, err)
}

func (l *Listener) refused(a arrival, err error) {
	l.stats.refused.Add(1)
	l.say("emitter: a message is not carried out, or not for all", a, err)
}

// say tells the log now and then. Owned by work.
func (l *Listener) say(what string, a arrival, err error) {
	if time.Since(l.said) < saidEvery {
		return
	}
	l.said = time.Now()
	l.parts.Log.Warn(what, zap.String("namespace", a.space.name), zap.Bool("request", a.request), zap.Error(err))
}
