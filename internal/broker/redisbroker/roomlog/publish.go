package roomlog

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// Outcome says what a publish has done.
type Outcome uint8

// The outcomes of a publish without error.
const (
	// Stored is a publication that is in the log now, if the room keeps one,
	// and was sent to the room's channel.
	Stored Outcome = iota + 1
	// Repeated is one that was before, recognised by its key or its nonce.
	Repeated
)

const (
	// maxKey is the longest idempotency key in bytes.
	maxKey = 128
	// lookback is added to the age of an attempt whose answer was lost when
	// the log is searched for it, for clocks that differ.
	lookback = 5 * time.Second
	// overhead is about what a publish has on the wire besides its blob.
	overhead = 512
)

// draft is a publication on its way.
type draft struct {
	*broker.Publication
	blob    []byte
	keyed   bool // it has an idempotency key
	kept    bool // its room keeps history
	unheard bool // its room has no channel
	waits   bool // for replicas: something of it is stored, and must be there
}

// Publish stores a publication, sends it to the room's channel, and returns
// its position: zero in rooms without history. Nothing is sent for a room that
// is one connection (wire.ConnectionRoom): its key, if it has one, is used, and
// the caller hands over what is Stored. Without a nonce the publication gets
// one. Errors are those of broker.Broker.Publish; after Unavailable it is
// unknown whether p was stored, unless the message says so.
func (l *Log) Publish(ctx context.Context, p broker.Publication) (wire.Position, Outcome, error) {
	d, err := newDraft(&p)
	if err != nil {
		return wire.Position{}, 0, err
	}
	if d.unheard && !d.keyed && !d.kept {
		return wire.Position{}, Stored, nil
	}
	o := order{
		room: p.Room, script: l.scripts.publish, bytes: overhead + len(d.blob),
		make: func(ctx context.Context, ago time.Duration) redis.Cmder {
			return redis.NewStringCmd(ctx, l.publishArgs(&d, ago)...)
		},
	}
	if d.keyed || d.kept {
		o.repeat = whenUnknown // a repeat is recognised
	}
	if d.waits {
		o.purpose = replicating
	}
	out, err := l.call(ctx, o)
	if err != nil {
		return wire.Position{}, 0, err
	}
	return l.published(&d, out)
}

// newDraft checks what needs no Redis. It gives p its nonce.
func newDraft(p *broker.Publication) (draft, error) {
	if len(p.IdempotencyKey) > maxKey {
		return draft{}, wire.NewError(wire.InvalidMessage, "an idempotency key has at most 128 bytes")
	}
	if err := checkRoom(p.Room); err != nil {
		return draft{}, err
	}
	if p.Position.Nonce &= wire.Bits48; p.Position.Nonce == 0 {
		p.Position.Nonce = random48()
	}
	d := draft{Publication: p, blob: encodeBlob(&p.Publication), keyed: p.IdempotencyKey != "", kept: p.Retention.Keeps()}
	_, d.unheard = wire.ConnectionOf(p.Room)
	d.waits = p.Replicated && (d.keyed || d.kept)
	return d, nil
}

// publishArgs are the words of the command: see publish.lua.
func (l *Log) publishArgs(d *draft, ago time.Duration) []any {
	keys, tell, channel := "2", l.tell, l.Channel(d.Room)
	if d.keyed {
		keys = "3"
	}
	if d.unheard {
		tell, channel = "", ""
	}
	args := make([]any, 0, 3+3+12)
	args = append(args, "EVALSHA", l.scripts.publish.sha, keys, l.metaKey(d.Room), l.logKey(d.Room))
	if d.keyed {
		args = append(args, l.recordKey(d.Publication))
	}
	args = append(args, tell, channel, strconv.FormatUint(d.Position.Nonce, 10), d.blob, newEpoch(),
		strconv.Itoa(max(0, d.Retention.Size)), milliseconds(d.Retention.Age), flag(d.waits), since(ago),
		strconv.FormatUint(secondNonce(d.Position.Nonce), 10))
	if d.keyed {
		args = append(args, contentOf(&d.Publication.Publication), milliseconds(l.cfg.IdempotencyTTL))
	}
	return args
}

// published says what has become of a draft whose command was answered.
func (l *Log) published(d *draft, out outcome) (wire.Position, Outcome, error) {
	cmd, _ := out.cmd.(*redis.StringCmd)
	if cmd.Val() == "c" {
		l.counts.conflicts.Add(1)
		return wire.Position{}, 0, wire.NewError(wire.Conflict, "the idempotency key was used with other content")
	}
	pos, result, err := readAnswer(cmd.Val())
	if err != nil {
		l.counts.unavailable.Add(1)
		l.report(fmt.Errorf("a script answered %.40q", cmd.Val()))
		return wire.Position{}, 0, unavailable("redis refuses the request")
	}
	if d.unheard && pos.Nonce == d.Position.Nonce {
		result = Stored // by this attempt, though its answer may have got lost
	}
	l.count(result)
	if d.waits && !out.replicated {
		l.counts.unreplicated.Add(1)
		l.counts.unavailable.Add(1)
		return wire.Position{}, 0, unavailable("the publication is stored, but not on enough replicas: repeat it with the same idempotencyKey")
	}
	if pos.Offset == 0 {
		pos = wire.Position{}
	}
	return pos, result, nil
}

// readAnswer reads what publish.lua returns, besides conflicts.
func readAnswer(answer string) (wire.Position, Outcome, error) {
	if answer == "" {
		return wire.Position{}, 0, errMessage
	}
	pos, err := parsePosition([]byte(answer[1:]))
	switch answer[0] {
	case 's':
		return pos, Stored, err
	case 'r':
		return pos, Repeated, err
	}
	return wire.Position{}, 0, errMessage
}

func (l *Log) count(result Outcome) {
	if result == Repeated {
		l.counts.repeated.Add(1)
		return
	}
	l.counts.published.Add(1)
}

// recordKey is where the result of a keyed publish is kept.
func (l *Log) recordKey(p *broker.Publication) string {
	return l.redis.Key("k", p.Room) + ":" + digest(nil, p.Publisher, p.IdempotencyKey)
}

// contentOf identifies what a key was used with.
func contentOf(p *wire.Publication) string { return digest(p.Data, p.Event, p.ConflateKey) }

// digest is the first half of the SHA-256 of the fields, each with its length,
// and of data, in base64.
func digest(data []byte, fields ...string) string {
	b := make([]byte, 0, 256)
	for _, f := range fields {
		b = binary.AppendUvarint(b, uint64(len(f)))
		b = append(b, f...)
	}
	h := sha256.New()
	_, _ = h.Write(b)
	_, _ = h.Write(data)
	return base64.RawURLEncoding.EncodeToString(h.Sum(b[:0])[:16])
}

// newEpoch is an epoch for a room that may need one, in hex.
func newEpoch() string { return epochText(random48()) }

// epochText is how Redis has epochs: as they stand in metas, they are compared
// letter by letter.
func epochText(epoch uint64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], epoch)
	return hex.EncodeToString(b[2:])
}

// random48 is never 0.
func random48() uint64 {
	for {
		if n := rand.Uint64() & wire.Bits48; n != 0 { //nolint:gosec // tells entries and epochs apart, keeps no secret
			return n
		}
	}
}

// secondNonce is the nonce that a second attempt has, made of the first one's,
// so that each is known by both. It is never 0.
func secondNonce(first uint64) uint64 {
	const bit = 1 << 47
	if first == bit {
		return wire.Bits48
	}
	return first ^ bit
}

// milliseconds rounds up, so that only what is nothing becomes "0".
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(int64((max(0, d)+time.Millisecond-1)/time.Millisecond), 10)
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return ""
}

// since is how far back the log must be searched for an earlier attempt.
func since(ago time.Duration) string {
	if ago <= 0 {
		return ""
	}
	return milliseconds(ago + lookback)
}
