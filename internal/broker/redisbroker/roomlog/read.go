package roomlog

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const (
	// chunkEntries and chunkBytes bound what one execution of the script
	// reads, so that it holds nobody up.
	chunkEntries = 512
	chunkBytes   = 1 << 20
	// pageBytes is what a page counts in its pipeline: so that 32 of them share
	// one, whose answers have 32 MiB at most.
	pageBytes = maxBatchBytes / 32
	// readAttempts is how often a long read begins anew because the log moved
	// on under it.
	readAttempts = 3
)

// Read returns a part of a room's log: see broker.Broker.History. A room
// without a log gets an epoch that lasts for an hour after it was last read.
// Long pages are read in chunks; the page is what the log held when the first
// was read.
func (l *Log) Read(ctx context.Context, room string, since wire.Position, limit int) (broker.Page, error) {
	if err := checkRoom(room); err != nil {
		return broker.Page{}, err
	}
	for range readAttempts {
		page, err := l.readPage(ctx, room, since, limit)
		if !errors.Is(err, errMoved) {
			return page, err
		}
	}
	return broker.Page{}, unavailable("the room moves on faster than its log can be read")
}

// errMoved says that a page broke off: what should follow is gone by now.
var errMoved = errors.New("the log moved on")

// readPage reads a page chunk by chunk.
func (l *Log) readPage(ctx context.Context, room string, since wire.Position, limit int) (broker.Page, error) {
	page, err := l.readChunk(ctx, room, since, bounded(limit, chunkEntries))
	if err != nil {
		return page, err
	}
	for {
		last, more := rest(page, since, limit)
		if more <= 0 {
			return page, nil
		}
		next, err := l.readChunk(ctx, room, last, min(more, chunkEntries))
		if err != nil || len(next.Publications) == 0 {
			return brokenOff(since, page.Top, next.Top, err)
		}
		page.Publications = append(page.Publications, next.Publications...)
	}
}

// brokenOff is what becomes of a page that ends before its top, when the log
// says why it does not go on.
func brokenOff(since, top, now wire.Position, err error) (broker.Page, error) {
	var refusal *broker.InsufficientStateError
	switch {
	case err != nil && !errors.As(err, &refusal):
		return broker.Page{}, err
	case refusal != nil && refusal.Reason == "trimmed" && now == top:
		return beforeHole(since, top)
	}
	return broker.Page{}, errMoved
}

// beforeHole is what there is of a log that has not moved on and yet does not
// follow what was read: as in whole.
func beforeHole(since, top wire.Position) (broker.Page, error) {
	if since.IsZero() {
		return broker.Page{Top: top}, nil
	}
	return broker.Page{Top: top}, &broker.InsufficientStateError{Reason: "trimmed"}
}

func bounded(limit, most int) int {
	if limit < 0 {
		return most
	}
	return min(limit, most)
}

// rest tells where a page goes on and how many entries it lacks up to its top
// or the limit.
func rest(page broker.Page, since wire.Position, limit int) (last wire.Position, more int) {
	n := len(page.Publications)
	if n == 0 {
		return since, 0
	}
	last = page.Publications[n-1].Position
	more = int(page.Top.Offset - last.Offset) //nolint:gosec // no log is as long as that
	if limit >= 0 {
		more = min(more, limit-n)
	}
	return last, more
}

// readChunk executes the script once.
func (l *Log) readChunk(ctx context.Context, room string, since wire.Position, limit int) (broker.Page, error) {
	bytes := overhead
	if limit > 0 {
		bytes = pageBytes
	}
	out, err := l.call(ctx, order{
		room: room, purpose: reading, script: l.scripts.read, bytes: bytes, repeat: whenUnknown,
		make: func(ctx context.Context, _ time.Duration) redis.Cmder {
			return redis.NewStringSliceCmd(ctx, l.readArgs(room, since, limit)...)
		},
	})
	if err != nil {
		return broker.Page{}, err
	}
	cmd, _ := out.cmd.(*redis.StringSliceCmd)
	page, err := l.decodePage(room, since, limit, cmd.Val())
	if errors.Is(err, errMessage) {
		l.counts.unavailable.Add(1)
		l.report(err)
		return broker.Page{}, unavailable("the room's log cannot be read")
	}
	return page, err
}

func (l *Log) readArgs(room string, since wire.Position, limit int) []any {
	return append([]any{"EVALSHA", l.scripts.read.sha, "2", l.metaKey(room), l.logKey(room)},
		append(positionArgs(since), limit, chunkBytes)...)
}

// positionArgs are the first words of read.lua and verify.lua.
func positionArgs(p wire.Position) []any {
	epoch := ""
	if !p.IsZero() {
		epoch = epochText(p.Epoch)
	}
	return []any{newEpoch(), epoch, strconv.FormatUint(p.Offset, 10), strconv.FormatUint(p.Nonce, 10)}
}

// decodePage reads the answer of read.lua. An entry that cannot be read is as one
// that somebody has deleted.
func (l *Log) decodePage(room string, since wire.Position, limit int, answer []string) (broker.Page, error) {
	if len(answer) < 2 || len(answer)%3 != 2 {
		return broker.Page{}, errMessage
	}
	top, err := parsePosition([]byte(" " + answer[0]))
	if err != nil {
		return broker.Page{}, err
	}
	page := broker.Page{Top: top}
	if reason := answer[1]; reason != "" {
		return page, &broker.InsufficientStateError{Reason: reason}
	}
	for entries := answer[2:]; len(entries) > 0; entries = entries[3:] {
		pub, err := decodeEntry(entries[0], entries[1], entries[2])
		if err != nil {
			l.report(err)
			if !since.IsZero() {
				return beforeHole(since, top)
			}
			page.Publications = nil
			continue
		}
		pub.Room, pub.Position.Epoch = room, top.Epoch
		page.Publications = append(page.Publications, pub)
	}
	return whole(page, since, limit)
}

// decodeEntry reads an entry of the stream.
func decodeEntry(id, at, blob string) (*wire.Publication, error) {
	offset, nonce, _ := strings.Cut(id, "-")
	n := numbers{rest: []byte(" " + offset + " " + nonce + " " + at)}
	pos := wire.Position{Offset: n.uint(10, maxOffset), Nonce: n.uint(10, wire.Bits48)}
	sent := n.uint(10, maxTime)
	if !n.done() {
		return nil, errMessage
	}
	pub, err := decodeBlob([]byte(blob))
	if err != nil {
		return nil, err
	}
	pub.Position, pub.Time = pos, int64(sent) //nolint:gosec // at most maxTime
	return pub, nil
}

// whole makes sure that a page has no hole, should somebody else have deleted
// entries: a read from a position is refused, a read of everything begins
// after the hole.
func whole(page broker.Page, since wire.Position, limit int) (broker.Page, error) {
	pubs := page.Publications
	from := afterHole(pubs)
	if since.IsZero() {
		page.Publications = pubs[from:]
		return page, nil
	}
	follows := limit == 0 || since.Offset == page.Top.Offset
	if len(pubs) > 0 {
		follows = from == 0 && pubs[0].Position.Offset == since.Offset+1
	}
	if !follows {
		return broker.Page{Top: page.Top}, &broker.InsufficientStateError{Reason: "trimmed"}
	}
	return page, nil
}

// afterHole is the index of the first entry after the last hole.
func afterHole(pubs []*wire.Publication) int {
	for i := len(pubs) - 1; i > 0; i-- {
		if pubs[i].Position.Offset != pubs[i-1].Position.Offset+1 {
			return i
		}
	}
	return 0
}
