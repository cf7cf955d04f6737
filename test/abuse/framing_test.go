package abuse

import (
	"bytes"
	"compress/flate"
	"fmt"
	"strings"
	"testing"
	"time"
)

const deflateOffer = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover"

// deflated is a message as permessage-deflate carries it.
func deflated(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(text))
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

func frames(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// TestBrokenFramesAreAnsweredWithTheirClose sends what no honest client sends,
// and more behind it.
func TestBrokenFramesAreAnsweredWithTheirClose(t *testing.T) {
	long := strings.Repeat("x", 64<<10)
	emptyBlocks := strings.Repeat("\x00\x00\x00\xff\xff", 6000) // each inflates to nothing
	for name, tc := range map[string]struct {
		bytes []byte
		code  int
	}{
		"an oversize message":              {frame(fin|opText, []byte(long+"x")), 1009},
		"an oversize message in fragments": {frames(frame(opText, []byte(long)), frame(fin|opContinuation, []byte("x"))), 1009},
		"a length of four exabytes":        {[]byte{fin | opText, 0x80 | 127, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1009},
		"a fragment bomb":                  {frames(frame(opText, nil), bytes.Repeat(frame(opContinuation, nil), 100_000)), 1009},
		"a deflate bomb":                   {frame(fin|rsv1|opText, []byte(deflated(t, strings.Repeat("b", 50<<20)))), 1009},
		"a deflate bomb of empty blocks":   {frames(frame(rsv1|opText, []byte(emptyBlocks)), bytes.Repeat(frame(opContinuation, []byte(emptyBlocks)), 10)), 1009},
		"a message of empty blocks alone":  {frame(fin|rsv1|opText, []byte(emptyBlocks)), 0},
		"an unmasked frame":                {append([]byte{fin | opText, 16}, `{"event":"ping"}`...), 1002},
		"text that is not UTF-8":           {frame(fin|opText, []byte("{\"event\":\"\xff\xfe\"}")), 1007},
		"compressed text that is not":      {frame(fin|rsv1|opText, []byte(deflated(t, "\xc3("))), 1007},
		"a binary message":                 {frame(fin|opBinary, []byte("{}")), 1003},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			a := start(t, open, "COMPRESSION=true", "CLOSE_TIMEOUT=1s")
			abuse := func() {
				headers := []string{}
				if strings.Contains(name, "block") || strings.Contains(name, "deflate") || strings.Contains(name, "compressed") {
					headers = append(headers, deflateOffer)
				}
				p := a.upgraded(t, headers...)
				_, _ = p.Write(tc.bytes)
				if tc.code == 0 { // no more than an empty message
					got, _ := p.until(`"error"`)
					if !strings.Contains(got, `"invalid_message"`) {
						t.Errorf("answered with %q", got)
					}
				} else {
					p.send(fin|opText, `{"event":"ping","id":"behind"}`)
					if tc.code == 1003 { // a polite close waits for ours
						p.send(fin|opClose, "\x03\xe8")
					}
					if code := p.closed(); code != tc.code {
						t.Errorf("closed with %d, want %d", code, tc.code)
					}
				}
				_ = p.Close()
			}
			before := a.baseline(t, abuse)
			for range 20 {
				abuse()
			}
			a.settled(t, before)
		})
	}
}

func TestOneByteAtATimeIsClosedInTime(t *testing.T) {
	a := start(t, open, "MESSAGE_TIMEOUT=400ms", "CLOSE_TIMEOUT=1s") // seconds are too long for a test
	whole := frame(fin|opText, []byte(`{"event":"ping","id":1}`))
	abuse := func() {
		peers := make([]*peer, 20)
		for i := range peers {
			peers[i] = a.upgraded(t)
		}
		for _, b := range whole { // it would be whole after three times the time
			for _, p := range peers {
				_, _ = p.Write([]byte{b})
			}
			time.Sleep(50 * time.Millisecond)
		}
		for _, p := range peers {
			if _, ok := p.until("pong"); ok {
				t.Error("the message was taken")
			}
			_ = p.Close()
		}
		p := a.upgraded(t)
		_, _ = p.Write(whole[:5])
		if code := p.closed(); code != 1008 {
			t.Errorf("closed with %d, want 1008", code)
		}
		_ = p.Close()
	}
	before := a.baseline(t, abuse)
	abuse()
	a.settled(t, before)
}

func TestAPeerThatNeverPongsIsCut(t *testing.T) {
	a := start(t, open, "HEARTBEAT_INTERVAL=200ms", "HEARTBEAT_TIMEOUT=200ms")
	abuse := func() {
		p := a.upgraded(t)
		pings := 0
		for {
			op, _, ok := p.receive()
			if !ok {
				break
			}
			switch op {
			case opPing:
				pings++
			case opClose:
				t.Error("a close frame came")
			}
		}
		if pings != 1 {
			t.Errorf("%d pings came", pings)
		}
		_ = p.Close()
	}
	before := a.baseline(t, abuse)
	cut := a.transport.Stats().HeartbeatTimeouts
	for range 5 {
		abuse()
	}
	if n := a.transport.Stats().HeartbeatTimeouts - cut; n != 5 {
		t.Errorf("%d heartbeat time-outs were counted", n)
	}
	a.settled(t, before)
}

// TestAPingFloodQueuesNothing floods without reading: only the latest ping is
// owed an answer.
func TestAPingFloodQueuesNothing(t *testing.T) {
	a := start(t, open, "SEND_QUEUE_BYTES=65536")
	abuse := func() {
		p := a.upgraded(t)
		flood := bytes.Repeat(frame(fin|opPing, bytes.Repeat([]byte("p"), 125)), 1000)
		for range 200 {
			if _, err := p.Write(flood); err != nil {
				t.Fatalf("the flood was cut: %v", err)
			}
		}
		last := fmt.Sprintf("the last of %d", 200_001)
		p.send(fin|opPing, last)
		p.send(fin|opText, `{"event":"ping","id":1}`)
		answered := ""
		for {
			op, payload, ok := p.receive()
			if !ok {
				t.Fatal("the connection ended")
			}
			if op == opPong {
				answered = string(payload)
			}
			if op == opText && strings.Contains(string(payload), `"pong"`) {
				break
			}
		}
		if answered != last {
			t.Errorf("the last ping is not answered, but %q", answered)
		}
		_ = p.Close()
	}
	before := a.baseline(t, abuse)
	for range 3 {
		abuse()
	}
	if st := a.transport.Stats(); st.SlowCuts != 0 {
		t.Errorf("%d were cut as slow", st.SlowCuts)
	}
	a.settled(t, before)
}

// TestAReaderThatStopsIsToldOrCut publishes to members that read nothing: one
// reads again in time and is told, the others are cut.
func TestAReaderThatStopsIsToldOrCut(t *testing.T) {
	a := start(t, open, "SEND_QUEUE_BYTES=131072", "WRITE_TIMEOUT=1s", "CLOSE_TIMEOUT=1s")
	abuse := func() {
		stalled := make([]*peer, 10)
		for i := range stalled {
			stalled[i] = a.upgraded(t)
			stalled[i].send(fin|opText, `{"event":"join_room","id":1,"data":{"room":"busy"}}`)
			if _, ok := stalled[i].until("room_joined"); !ok {
				t.Fatal("no member")
			}
		}
		speaker := a.dial(t, "speaker")
		speaker.send(t, `{"event":"join_room","id":1,"data":{"room":"busy"}}`)
		cut := a.transport.Stats().SlowCuts
		text := `{"event":"publish","id":2,"data":{"room":"busy","event":"words","echo":false,"data":"` + strings.Repeat("w", 60_000) + `"}}`
		for sent := 0; a.transport.Stats().SlowCuts-cut < int64(len(stalled)) && sent < 2000; sent++ {
			speaker.send(t, text)
			speaker.until(t, "published")
		}
		if code := stalled[0].closed(); code != 4008 {
			t.Errorf("who reads again is told %d, want 4008", code)
		}
		eventually(t, "the others are cut", func() bool { return a.hub.Count() == 1 })
		for _, p := range stalled {
			_ = p.Close()
		}
		speaker.cut()
	}
	before := a.baseline(t, abuse)
	abuse()
	a.settled(t, before)
}
