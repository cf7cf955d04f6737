package check_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
	"github.com/moonx-farm/ws-gateway/test/chaos/check"
)

const room = "r"

// story is a history made by hand, a second for each event.
type story struct {
	check.Record
	rules check.Rules
	now   time.Duration
}

func tell() *story {
	return &story{rules: check.Rules{
		Rooms:     map[string]check.Room{room: {Size: 100}, "short": {Size: 3}, "safe": {Size: 100, Replicated: true}},
		FarBehind: 50, Settle: 8 * time.Second, Service: 30 * time.Second, Gateways: 2,
	}, Record: check.Record{Final: check.Logs{}, Stored: map[string][]check.Stored{}, Joined: map[string][]string{}}}
}

func (s *story) add(e check.Event) *story {
	s.now += time.Second
	e.At = s.now
	if e.Room == "" {
		e.Room = room
	}
	s.Events = append(s.Events, e)
	return s
}

// pos is a position: its nonce tells entries at one offset apart.
func pos(epoch, offset, nonce uint64) wire.Position {
	return wire.Position{Epoch: epoch, Offset: offset, Nonce: nonce}
}

// sum is the content that belongs to a key.
func sum(key string) (n uint64) {
	for _, b := range []byte(key) {
		n = n*31 + uint64(b)
	}
	return n
}

// publish has a message made and acknowledged.
func (s *story) publish(r, key string, p wire.Position) *story {
	s.add(check.Event{Kind: check.Sent, Who: "p", Room: r, Key: key, Sum: sum(key)})
	return s.ack(r, key, p)
}

func (s *story) ack(r, key string, p wire.Position) *story {
	return s.add(check.Event{Kind: check.Acknowledged, Who: "p", Room: r, Key: key, Pos: p, From: s.now + time.Second/2})
}

// log says what stands in a room in the end.
func (s *story) log(r string, entries ...check.Entry) *story {
	s.Final[r] = check.Log{Epoch: s.epoch(r), Entries: entries}
	return s
}

// epoch is the last one that was seen of a room.
func (s *story) epoch(r string) uint64 {
	for i := len(s.Events) - 1; i >= 0; i-- {
		if e := s.Events[i]; e.Room == r && e.Pos.Epoch != 0 {
			return e.Pos.Epoch
		}
	}
	return 0
}

func entries(from, to uint64) []check.Entry {
	var list []check.Entry
	for o := from; o <= to; o++ {
		list = append(list, check.Entry{Offset: o, Nonce: o * 10})
	}
	return list
}

func (s *story) join(who string, p wire.Position) *story {
	s.add(check.Event{Kind: check.Connected, Who: who})
	return s.add(check.Event{Kind: check.Joined, Who: who, Pos: p})
}

func (s *story) resume(who string, since wire.Position) *story {
	s.add(check.Event{Kind: check.Connected, Who: who})
	return s.add(check.Event{Kind: check.Joined, Who: who, Pos: since, Since: since, Recovered: true})
}

func (s *story) refuse(who, reason string, since, p wire.Position) *story {
	s.add(check.Event{Kind: check.Connected, Who: who})
	return s.add(check.Event{Kind: check.Joined, Who: who, Pos: p, Since: since, Reason: reason})
}

func (s *story) get(who, key string, p wire.Position) *story {
	return s.add(check.Event{Kind: check.Received, Who: who, Key: key, Sum: sum(key), Pos: p})
}

func (s *story) gap(who, reason string, from uint64, p wire.Position) *story {
	return s.add(check.Event{Kind: check.Gap, Who: who, Reason: reason, Offset: from, Pos: p})
}

// end ends the log by a break of a second.
func (s *story) end(cause check.Cause, before, after check.Logs) *story {
	s.now += time.Second
	s.Breaks = append(s.Breaks, check.Break{Cause: cause, Start: s.now - 500*time.Millisecond, End: s.now, Before: before, After: after})
	return s
}

func (s *story) wait(d time.Duration) *story {
	s.now += d
	return s
}

func (s *story) fault(name string, gateway int, from, to time.Duration) *story {
	s.Faults = append(s.Faults, check.Fault{Name: name, Gateway: gateway, Start: from, End: to})
	return s
}

// usual are three messages, seen by ann and bob; keys are k1 to k3.
func usual() *story {
	s := tell().join("ann", pos(1, 0, 0)).join("bob", pos(1, 0, 0))
	for o := uint64(1); o <= 3; o++ {
		key := fmt.Sprint("k", o)
		s.publish(room, key, pos(1, o, o*10)).get("ann", key, pos(1, o, o*10)).get("bob", key, pos(1, o, o*10))
	}
	return s.log(room, entries(1, 3)...)
}

func logs(r string, list []check.Entry) check.Logs { return check.Logs{r: {Epoch: 1, Entries: list}} }

func TestSoundHistoriesPass(t *testing.T) {
	for name, s := range map[string]*story{
		"nothing":         tell(),
		"messages":        usual(),
		"a resume":        usual().resume("ann", pos(1, 3, 30)).publish(room, "k4", pos(1, 4, 40)).get("ann", "k4", pos(1, 4, 40)).log(room, entries(1, 4)...),
		"a copy":          usual().get("ann", "k2", pos(1, 2, 20)).get("ann", "k3", pos(1, 3, 30)),
		"a repeated ack":  usual().ack(room, "k2", pos(1, 2, 20)),
		"a trimmed log":   usual().log(room, entries(1, 3)...).publish("short", "s1", pos(5, 1, 10)).log("short", entries(7, 9)...),
		"a harmless flap": usual().resume("ann", pos(1, 3, 30)).resume("bob", pos(1, 3, 30)),
		"a trimmed resume": func() *story {
			s := usual()
			s.add(check.Event{Kind: check.Joined, Who: "ann", Room: "short", Pos: pos(5, 1, 10)})
			return s.add(check.Event{Kind: check.Joined, Who: "ann", Room: "short", Pos: pos(5, 5, 50), Since: pos(5, 1, 10), Reason: "trimmed"})
		}(),
		"a flush": usual().end(check.Flush, logs(room, entries(1, 3)), nil).
			gap("ann", "epoch_changed", 3, pos(2, 0, 0)).refuse("bob", "epoch_changed", pos(1, 3, 30), pos(2, 0, 0)).
			publish(room, "k4", pos(2, 1, 11)).get("ann", "k4", pos(2, 1, 11)).get("bob", "k4", pos(2, 1, 11)).
			log(room, check.Entry{Offset: 1, Nonce: 11}),
		"a promotion that loses": usual().end(check.Promotion, logs(room, entries(1, 3)), logs(room, entries(1, 2))).
			gap("ann", "epoch_changed", 3, pos(2, 2, 20)).refuse("bob", "entry_changed", pos(1, 3, 30), pos(2, 2, 20)).
			publish(room, "k4", pos(2, 3, 31)).get("ann", "k4", pos(2, 3, 31)).
			log(room, check.Entry{Offset: 1, Nonce: 10}, check.Entry{Offset: 2, Nonce: 20}, check.Entry{Offset: 3, Nonce: 31}),
		"a key again after a promotion": usual().end(check.Promotion, logs(room, entries(1, 3)), logs(room, entries(1, 2))).
			ack(room, "k3", pos(1, 3, 31)).gap("ann", "epoch_changed", 3, pos(2, 2, 20)).get("ann", "k3", pos(2, 3, 31)).
			log(room, check.Entry{Offset: 1, Nonce: 10}, check.Entry{Offset: 2, Nonce: 20}, check.Entry{Offset: 3, Nonce: 31}),
		"an attempt that goes on after a promotion": usual().end(check.Promotion, logs(room, entries(1, 3)), logs(room, entries(1, 1))).
			gap("ann", "epoch_changed", 3, pos(2, 1, 10)).gap("bob", "epoch_changed", 3, pos(2, 1, 10)).
			publish(room, "k4", pos(2, 2, 21)).get("ann", "k4", pos(2, 2, 21)).ack(room, "k3", pos(2, 3, 30)).get("ann", "k3", pos(2, 3, 30)).
			log(room, check.Entry{Offset: 1, Nonce: 10}, check.Entry{Offset: 2, Nonce: 21}, check.Entry{Offset: 3, Nonce: 30}),
		"one that goes on before the epoch ends": usual().end(check.Promotion, logs(room, entries(1, 3)), logs(room, entries(1, 1))).
			join("cid", pos(1, 1, 10)).publish(room, "k4", pos(1, 2, 21)).get("cid", "k4", pos(1, 2, 21)).ack(room, "k3", pos(1, 3, 30)).get("cid", "k3", pos(1, 3, 30)).
			gap("ann", "epoch_changed", 3, pos(2, 3, 30)).gap("bob", "epoch_changed", 3, pos(2, 3, 30)).gap("cid", "epoch_changed", 3, pos(2, 3, 30)).
			log(room, check.Entry{Offset: 1, Nonce: 10}, check.Entry{Offset: 2, Nonce: 21}, check.Entry{Offset: 3, Nonce: 30}),
		"an acknowledgement from before the break": usual().end(check.Flush, logs(room, entries(1, 4)), nil).
			add(check.Event{Kind: check.Sent, Who: "p", Key: "k4", Sum: sum("k4")}).
			add(check.Event{Kind: check.Acknowledged, Who: "p", Key: "k4", Pos: pos(1, 4, 40), From: time.Second}).log(room),
	} {
		t.Run(name, func(t *testing.T) {
			if found, _ := check.Check(s.Record, s.rules); len(found) > 0 {
				t.Errorf("violations: %v", found)
			}
		})
	}
}

func TestViolationsAreFound(t *testing.T) {
	for name, tc := range map[string]struct {
		s    *story
		want check.Class
		text string
	}{
		"an acknowledged message that is nowhere": {usual().publish(room, "k4", pos(1, 4, 40)), check.Lost, "k4"},
		"one whose offset holds another entry":    {usual().publish(room, "k4", pos(1, 3, 31)), check.Lost, "k4"},
		"one without a position":                  {usual().ack(room, "k3", wire.Position{}), check.Unplaced, "k3"},
		"one without a position that is nowhere":  {usual().publish(room, "k4", wire.Position{}), check.Lost, "k4"},
		"one acknowledged after a flush, from before it": {
			usual().end(check.Flush, logs(room, entries(1, 3)), nil).log(room).ack(room, "k3", pos(1, 3, 30)), check.Lost, "k3"},
		"one that was gone before the break": {
			usual().end(check.Flush, logs(room, entries(1, 2)), nil).log(room), check.Lost, "k3"},
		"an entry that vanishes after a promotion": {
			usual().end(check.Promotion, logs(room, entries(1, 3)), logs(room, entries(1, 3))).log(room, entries(1, 2)...), check.Vanished, "offset 3"},
		"a log with a hole": {
			usual().log(room, append(entries(1, 3), check.Entry{Offset: 5, Nonce: 50})...), check.Vanished, "offset 5 follows 3"},
		"a promotion that loses what is replicated": {
			tell().publish("safe", "k1", pos(1, 1, 10)).end(check.Promotion, logs("safe", entries(1, 1)), logs("safe", nil)), check.NotDurable, "k1"},
		"a key twice in the log": {
			usual().ack(room, "k2", pos(1, 4, 40)).log(room, entries(1, 4)...), check.Twice, "k2"},
		"a key twice in an epoch": {
			usual().get("ann", "k2", pos(1, 4, 40)), check.Twice, "k2"},
		"a key twice in another epoch": {
			usual().end(check.Flush, logs(room, entries(1, 3)), nil).gap("ann", "epoch_changed", 3, pos(2, 0, 0)).wait(time.Hour).
				get("ann", "k1", pos(2, 1, 11)).get("ann", "k1", pos(2, 2, 12)).
				log(room, check.Entry{Offset: 1, Nonce: 11}, check.Entry{Offset: 2, Nonce: 12}), check.Twice, "k1"},
		"a hole": {
			usual().publish(room, "k4", pos(1, 4, 40)).publish(room, "k5", pos(1, 5, 50)).log(room, entries(1, 5)...).
				get("ann", "k5", pos(1, 5, 50)), check.Hole, "1 are missing"},
		"a hole across a resume": {
			usual().publish(room, "k4", pos(1, 4, 40)).publish(room, "k5", pos(1, 5, 50)).log(room, entries(1, 5)...).
				resume("ann", pos(1, 3, 30)).get("ann", "k5", pos(1, 5, 50)), check.Hole, "1 are missing"},
		"an epoch that changes without a signal": {
			usual().end(check.Flush, logs(room, entries(1, 3)), nil).publish(room, "k4", pos(2, 1, 11)).
				get("ann", "k4", pos(2, 1, 11)).log(room, check.Entry{Offset: 1, Nonce: 11}), check.Hole, "without a signal"},
		"a gap from elsewhere": {
			usual().end(check.Flush, logs(room, entries(1, 3)), nil).log(room).gap("ann", "epoch_changed", 2, pos(2, 0, 0)), check.Hole, "after offset 2"},
		"an offset again with another entry": {
			usual().end(check.Promotion, logs(room, entries(1, 3)), logs(room, entries(1, 2))).publish(room, "k4", pos(1, 3, 31)).
				get("ann", "k4", pos(1, 3, 31)).
				log(room, check.Entry{Offset: 1, Nonce: 10}, check.Entry{Offset: 2, Nonce: 20}, check.Entry{Offset: 3, Nonce: 31}), check.Replaced, "another entry"},
		"an entry from before the position": {
			usual().join("cid", pos(1, 3, 30)).get("cid", "k2", pos(1, 2, 20)), check.Hole, "behind"},
		"going on across a replaced entry, seen by another": {
			usual().end(check.Promotion, logs(room, entries(1, 3)), logs(room, entries(1, 2))).join("cid", pos(1, 2, 20)).
				publish(room, "k4", pos(1, 3, 31)).get("cid", "k4", pos(1, 3, 31)).publish(room, "k5", pos(1, 4, 41)).get("cid", "k5", pos(1, 4, 41)).
				get("ann", "k5", pos(1, 4, 41)). // ann has offset 3 of the old log
				log(room, check.Entry{Offset: 1, Nonce: 10}, check.Entry{Offset: 2, Nonce: 20}, check.Entry{Offset: 3, Nonce: 31}, check.Entry{Offset: 4, Nonce: 41}), check.Forked, "ann"},
		"going on across a replaced entry, told by the log": {
			usual().end(check.Promotion, logs(room, entries(1, 3)), logs(room, entries(1, 2))).
				publish(room, "k4", pos(1, 3, 31)).publish(room, "k5", pos(1, 4, 41)).get("ann", "k5", pos(1, 4, 41)).
				log(room, check.Entry{Offset: 1, Nonce: 10}, check.Entry{Offset: 2, Nonce: 20}, check.Entry{Offset: 3, Nonce: 31}, check.Entry{Offset: 4, Nonce: 41}), check.Forked, "ann"},
		"a message nobody published": {
			usual().get("ann", "k9", pos(1, 4, 40)), check.Content, "nobody published"},
		"another content": {
			usual().add(check.Event{Kind: check.Received, Who: "ann", Key: "k3", Sum: 1, Pos: pos(1, 3, 30)}), check.Content, "another content"},
		"a message of another room": {
			usual().publish("short", "s1", pos(5, 1, 10)).log("short", entries(1, 1)...).get("ann", "s1", pos(1, 4, 40)), check.Content, "was published in short"},
		"one entry, two messages": {
			usual().get("ann", "k2", pos(1, 3, 30)), check.Content, "to others k3"},
		"a refusal without a break": {
			usual().refuse("ann", "epoch_changed", pos(1, 3, 30), pos(1, 3, 30)), check.Refused, "nothing has ended"},
		"a refusal long after the break": {
			usual().end(check.Flush, logs(room, entries(1, 3)), nil).log(room).wait(time.Minute).join("ann", pos(2, 0, 0)).wait(time.Minute).
				refuse("ann", "epoch_changed", pos(2, 0, 0), pos(2, 0, 0)), check.Refused, "nothing has ended"},
		"a changed entry without a promotion": {
			usual().end(check.Flush, logs(room, entries(1, 3)), nil).log(room).refuse("ann", "ahead", pos(1, 3, 30), pos(2, 0, 0)), check.Refused, "no replica"},
		"trimmed, though the room keeps more": {
			usual().refuse("ann", "trimmed", pos(1, 1, 10), pos(1, 3, 30)), check.Refused, "keeps more"},
		"too far behind by little": {
			usual().refuse("ann", "too_far_behind", pos(1, 1, 10), pos(1, 3, 30)), check.Refused, "little is missing"},
		"expired where nothing ages": {
			usual().refuse("ann", "expired", pos(1, 1, 10), pos(1, 3, 30)), check.Refused, "no reason here"},
		"a gap without a cause": {
			usual().gap("ann", "epoch_changed", 3, pos(1, 3, 30)), check.Refused, "without a cause"},
		"an overflow":          {usual().gap("ann", "overflow", 3, pos(1, 3, 30)), check.Refused, "without a cause"},
		"a resume elsewhere":   {usual().add(check.Event{Kind: check.Joined, Who: "ann", Pos: pos(1, 3, 30), Since: pos(1, 2, 20), Recovered: true}), check.Resumed, "instead of"},
		"an epoch for nothing": {usual().join("cid", pos(2, 0, 0)), check.Epochs, "epoch 2"},
		"two epochs for one break": {
			usual().end(check.Flush, logs(room, entries(1, 3)), nil).log(room).join("ann", pos(2, 0, 0)).join("ann", pos(3, 0, 0)), check.Epochs, "epoch 3"},
		"a publication before the join": {
			usual().add(check.Event{Kind: check.Connected, Who: "ann"}).get("ann", "k3", pos(1, 3, 30)), check.Stranger, "without having joined"},
		"a gap before the join": {
			usual().add(check.Event{Kind: check.Connected, Who: "ann"}).gap("ann", "epoch_changed", 3, pos(1, 3, 30)), check.Stranger, "gap"},
		"a membership taken": {usual().add(check.Event{Kind: check.Left, Who: "ann", Reason: "removed"}), check.Stranger, "removed"},
		"a subscriber that stays behind": {
			func() *story {
				s := usual().publish(room, "k4", pos(1, 4, 40)).get("bob", "k4", pos(1, 4, 40)).log(room, entries(1, 4)...)
				s.Joined = map[string][]string{"ann": {room}, "bob": {room}}
				return s
			}(), check.Behind, "ann"},
		"readers that see less": {
			func() *story {
				s := usual()
				s.Stored[room] = []check.Stored{{Pos: pos(1, 1, 10), Key: "k1", Sum: sum("k1")}, {Pos: pos(1, 2, 20), Key: "k2", Sum: sum("k2")}}
				return s
			}(), check.Unreadable, "see 2"},
		"readers that see another entry": {
			func() *story {
				s := usual().log(room, entries(3, 3)...)
				s.rules.Rooms[room] = check.Room{Size: 1}
				s.Stored[room] = []check.Stored{{Pos: pos(1, 3, 31), Key: "k3", Sum: sum("k3")}}
				return s
			}(), check.Unreadable, "offset 3"},
		"service that comes late": {
			usual().fault("cut", 0, 20*time.Second, 21*time.Second).wait(time.Minute).publish(room, "k4", pos(1, 4, 40)).
				get("ann", "k4", pos(1, 4, 40)).log(room, entries(1, 4)...), check.Outage, "cut"},
		"service that never comes": {
			usual().fault("cut", 1, 5*time.Second, 6*time.Second).wait(time.Minute).publish(room, "k4", pos(1, 4, 40)).
				log(room, entries(1, 4)...), check.Outage, "does not serve again"},
	} {
		t.Run(name, func(t *testing.T) {
			found, _ := check.Check(tc.s.Record, tc.s.rules)
			for _, v := range found {
				if v.Class == tc.want && strings.Contains(v.Text, tc.text) {
					return
				}
			}
			t.Errorf("found %v, want %s with %q", found, tc.want, tc.text)
		})
	}
}

func TestTheTimeToServiceIsTakenFromTheLastFault(t *testing.T) {
	s := tell().join("ann", pos(1, 0, 0)) // two seconds
	s.fault("slow", 0, 3*time.Second, 4*time.Second)
	s.fault("everybody", check.All, 5*time.Second, 6*time.Second)
	s.wait(8*time.Second).publish(room, "k1", pos(1, 1, 10)).get("ann", "k1", pos(1, 1, 10)).log(room, entries(1, 1)...)
	found, counts := check.Check(s.Record, s.rules)
	if len(found) > 0 {
		t.Errorf("violations: %v", found)
	}
	if counts.Recoveries != 1 || counts.Superseded != 1 || counts.Longest != 7*time.Second || counts.LongestAfter != "everybody" {
		t.Errorf("%+v", counts)
	}
}

func TestAHistoryIsInTheOrderOfTime(t *testing.T) {
	h := check.NewHistory()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 1000 {
			h.Add(check.Event{Who: "a"})
		}
	}()
	for range 1000 {
		h.Add(check.Event{Who: "b"})
	}
	<-done
	h.AddBreak(check.Break{Cause: check.Promotion, Start: 2})
	h.AddBreak(check.Break{Cause: check.Flush, Start: 1})
	h.AddFault(check.Fault{Name: "cut"})
	r := h.Record()
	if len(r.Events) != 2000 || len(r.Faults) != 1 || r.Breaks[0].Cause != check.Flush {
		t.Errorf("%d events, %d faults, %v", len(r.Events), len(r.Faults), r.Breaks)
	}
	for i := range r.Events[1:] {
		if r.Events[i].At > r.Events[i+1].At {
			t.Fatalf("event %d is later than the next one", i)
		}
	}
}
