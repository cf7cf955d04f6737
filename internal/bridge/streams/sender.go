package streams

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	// addTime bounds adding one event, with the wait for a connection.
	addTime = 5 * time.Second
	// maxAdding bounds the events on their way to Redis: each holds a client's
	// message and a goroutine.
	maxAdding = 4096
)

var (
	errCrowded = wire.NewError(wire.Unavailable, "the event's stream has as many events on their way as it may have: try again")
	errAdd     = wire.NewError(wire.Unavailable, "the event's stream could not be reached; it may have the event")
	errOwn     = wire.NewError(wire.Internal, "the event's stream is one of the gateway's own keys")
)

// Sender adds clients' events to the streams that routes name. Make it with
// NewSender. Safe for concurrent use. It has no goroutines: adding ends with
// its context.
type Sender struct {
	redis    *redisconn.Manager // immutable
	instance string             // immutable
	log      *zap.Logger
	tracer   *tracing.Tracer // immutable once events come; nil: makes no spans

	added, failed, refused, running atomic.Int64
	said                            atomic.Int64 // Unix nanoseconds of the last line in the log
}

var _ router.Streams = (*Sender)(nil)

// NewSender makes a Sender. It owns none of its parts.
func NewSender(cfg Config, redis *redisconn.Manager, log *zap.Logger) *Sender {
	return &Sender{redis: redis, instance: cfg.Instance, log: log}
}

// UseTracer says what makes spans of events that are added, and gives readers of
// the streams their trace context. Call it before the first event.
func (s *Sender) UseTracer(t *tracing.Tracer) { s.tracer = t }

// Add implements router.Streams. An event is added twice, with the same callId,
// when Redis has taken it and its answer is lost.
func (s *Sender) Add(ctx context.Context, to *policy.Stream, c router.Call) (string, error) {
	if strings.HasPrefix(to.Name, s.redis.Prefix()) {
		s.failed.Add(1)
		s.say(to, errOwn)
		return "", errOwn
	}
	defer s.running.Add(-1)
	if s.running.Add(1) > maxAdding {
		s.refused.Add(1)
		return "", errCrowded
	}
	ctx, cancel := context.WithTimeout(ctx, addTime)
	defer cancel()
	ctx, span := s.tracer.Add(ctx, to.Name)
	entry, err := s.redis.Client().XAdd(ctx, &redis.XAddArgs{
		Stream: to.Name, MaxLen: int64(to.MaxLength), Approx: true, Values: traceFields(s.fields(c), span.Context()),
	}).Result()
	span.End(err)
	if err != nil {
		s.failed.Add(1)
		s.say(to, err)
		return "", errAdd
	}
	s.added.Add(1)
	return entry, nil
}

// fields are those of an entry: what the service of an HTTP route is sent, and
// the time. data, claims and id are JSON.
func (s *Sender) fields(c router.Call) []string {
	out := append(make([]string, 0, 24), "callId", rand.Text(), "event", c.Event, "data", orNull(c.Data))
	if c.ID != nil {
		out = append(out, "id", string(c.ID))
	}
	if c.Room != "" {
		out = append(out, "room", c.Room)
	}
	guest := "false"
	if c.Identity.Guest {
		guest = "true"
	}
	out = append(out, "user", c.Identity.UserID, "guest", guest, "claims", orNull(c.Identity.Claims),
		"connection", c.Connection, "instance", s.instance)
	if c.Peer.IsValid() {
		out = append(out, "address", c.Peer.String())
	}
	return append(out, "time", now())
}

// traceFields adds the trace context, if there is one.
func traceFields(fields []string, c tracing.Context) []string {
	if c.Parent != "" {
		fields = append(fields, fieldTraceparent, c.Parent)
	}
	if c.State != "" {
		fields = append(fields, fieldTracestate, c.State)
	}
	return fields
}

// say puts into the log that a stream takes no events, now and then.
func (s *Sender) say(to *policy.Stream, err error) {
	at, last := time.Now().UnixNano(), s.said.Load()
	if last != 0 && at-last < int64(saidEvery) || !s.said.CompareAndSwap(last, at) {
		return
	}
	s.log.Warn("the stream of a route takes no events", zap.String("stream", to.Name), zap.Error(err))
}

// Stats returns the counters.
func (s *Sender) Stats() RouteStats {
	return RouteStats{Added: s.added.Load(), Failed: s.failed.Load(), Refused: s.refused.Load(), Running: s.running.Load()}
}

// orNull is JSON as it was sent; nothing is null.
func orNull(raw []byte) string {
	if raw == nil {
		return "null"
	}
	return string(raw)
}

// now is the time in Unix milliseconds.
func now() string { return strconv.FormatInt(time.Now().UnixMilli(), 10) }
