package ws

import (
	"bytes"
	"compress/flate"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

const deflateOffer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

// deflated is a payload as permessage-deflate sends it.
func deflated(s string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestSpeed)
	_, _ = io.WriteString(w, s)
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), deflateTail)
}

func TestManySlowPartialMessagesOccupyNoWorker(t *testing.T) {
	eachMode(t, Config{MessageTimeout: time.Hour}, func(t *testing.T, r *rig) {
		const slow = 2000
		conns := make([]*raw, slow)
		peers := make([]*peer, slow)
		for i := range conns {
			conns[i], peers[i] = r.connect(text("slow message")[:9]...)
		}
		c, p := r.connect()
		c.write(text("quick"))
		p.expect(t, "quick")
		for i := range conns {
			conns[i].write(text("slow message")[9:])
		}
		for _, p := range peers {
			p.expect(t, "slow message")
		}
		for _, c := range conns {
			_ = c.Close()
		}
	})
}

func TestAControlFrameBetweenFragmentsIsAnsweredFirst(t *testing.T) {
	eachMode(t, Config{Compression: true}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		c.write(concat(masked(opText, "one "), masked(fin|opPing, "now")))
		c.expect(fin|opPong, "now")
		c.write(concat(masked(opContinuation, "two "), masked(fin|opPong, ""), masked(fin|opContinuation, "three"), text("next")))
		p.expect(t, "one two three")
		p.expect(t, "next")

		z, q := r.connectWith(deflateOffer)
		body := deflated(strings.Repeat("compress me ", 200))
		z.write(concat(masked(rsv1|opText, body[:5]), masked(fin|opPing, "now")))
		z.expect(fin|opPong, "now")
		z.write(concat(masked(fin|opPing, "again"), masked(fin|opContinuation, body[5:]), text("plain")))
		z.expect(fin|opPong, "again")
		q.expect(t, strings.Repeat("compress me ", 200))
		q.expect(t, "plain")
	})
}

func TestHalfClosedAndResetSocketsEndPromptly(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		c.write(text("before"))
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		p.expect(t, "before")
		p.expectClosed(t, wire.CloseAbnormal)
		c.expectEnd()

		c, p = r.connect()
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
		p.expectClosed(t, wire.CloseAbnormal)
	})
}

// TestDescriptorReuseUnderChurn closes from all sides while descriptors are
// reused at once: nobody may get a stranger's bytes or events.
func TestDescriptorReuseUnderChurn(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		r.receive = func(p *peer, m message) bool {
			switch {
			case strings.HasSuffix(m.payload, "0"):
				p.conn.Abort()
			case strings.HasSuffix(m.payload, "1"):
				p.conn.Close(wire.Close{Code: 4003})
			default:
				p.conn.Send(textFrame(m.payload))
			}
			return true
		}
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				for i := range 60 {
					churn(t, r, name(worker*1000+i))
				}
			})
		}
		wg.Wait()
		until(t, "all connections end", func() bool { return r.Stats().Open == 0 })
	})
}

func churn(t *testing.T, r *rig, id string) {
	nc, err := r.dial()
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := nc.Write(append([]byte(upgrade+"\r\n"), text(id)...)); err != nil {
		t.Error(err)
		return
	}
	all := make([]byte, 0, 512)
	want := string(textFrame(id).WebSocket())
	for !strings.Contains(string(all), want) {
		n, err := nc.Read(all[len(all):cap(all)])
		all = all[:len(all)+n]
		if err != nil || strings.Contains(string(all), "\x88\x02\x0f\xa3") {
			if !strings.HasSuffix(id, "0") && !strings.HasSuffix(id, "1") {
				t.Errorf("%q: %v", id, err)
			}
			return
		}
	}
	if _, rest, _ := strings.Cut(string(all), "\r\n\r\n"); rest != want {
		t.Errorf("%q got %q", id, rest)
	}
}

func TestPeersThatStopReadingHurtNobody(t *testing.T) {
	cfg := Config{SendQueueBytes: 256 << 10, CloseTimeout: 300 * time.Millisecond}
	eachMode(t, cfg, func(t *testing.T, r *rig) {
		var stuck []*peer
		for range 4 {
			_, p := r.connect()
			stuck = append(stuck, p)
		}
		c, p := r.connect()
		f := textFrame(strings.Repeat("f", 64<<10))
		for _, s := range stuck {
			for s.conn.Send(f) {
				if err := r.Pace(t.Context()); err != nil {
					t.Fatal(err)
				}
				p.conn.Send(textFrame("alive"))
				c.expect(fin|opText, "alive")
			}
		}
		for _, s := range stuck {
			s.expectClosed(t, wire.CloseTooSlow)
		}
		if n := r.Stats().SlowCuts; n != 4 {
			t.Errorf("%d slow cuts", n)
		}
	})
}

func TestAPeerThatReadsAgainIsToldThatItWasTooSlow(t *testing.T) {
	eachMode(t, Config{SendQueueBytes: 64 << 10}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		for p.conn.Send(textFrame(strings.Repeat("f", 32<<10))) {
			runtime.Gosched()
		}
		c.expectClose(wire.CloseTooSlow)
		c.write(closing(wire.CloseTooSlow, ""))
		p.expectClosed(t, wire.CloseTooSlow)
	})
}

func TestWriteTimeoutCutsAPeerThatTakesNothing(t *testing.T) {
	eachMode(t, Config{SendQueueBytes: 16 << 20, WriteTimeout: 200 * time.Millisecond}, func(t *testing.T, r *rig) {
		_, p := r.connect()
		for range 200 {
			p.conn.Send(textFrame(strings.Repeat("f", 64<<10)))
		}
		p.expectClosed(t, wire.CloseTooSlow)
	})
}

func TestStalledInsideAFrameThenClose(t *testing.T) {
	eachMode(t, Config{CloseTimeout: 200 * time.Millisecond}, func(t *testing.T, r *rig) {
		c, p := r.connect(text("never completed")[:10]...)
		p.conn.Close(wire.Close{Code: 4003, Reason: "out"})
		c.expectClose(4003)
		c.expectEnd()
		p.expectClosed(t, 4003)
	})
}

func TestAPartialMessageHasADeadline(t *testing.T) {
	eachMode(t, Config{MessageTimeout: 100 * time.Millisecond, CloseTimeout: time.Second}, func(t *testing.T, r *rig) {
		c, p := r.connect(text("never completed")[:10]...)
		c.expectClose(wire.ClosePolicyViolation)
		p.expectClosed(t, wire.ClosePolicyViolation)
		c, p = r.connect(masked(opText, "never finished")...)
		c.expectClose(wire.ClosePolicyViolation)
		p.expectClosed(t, wire.ClosePolicyViolation)
	})
}

// TestBrokenRulesAreNamedAndTheSocketIsFreed covers every rule of the framing
// layer: the close frame carries the right code and the end comes.
func TestBrokenRulesAreNamedAndTheSocketIsFreed(t *testing.T) {
	big := strings.Repeat("x", 2000)
	unmasked := append([]byte{fin | opText, 2}, "hi"...)
	zeroBlocks := strings.Repeat("\x00\x00\x00\xff\xff", 1000)
	for _, tc := range []struct {
		name  string
		bytes []byte
		code  wire.CloseCode
	}{
		{"unmasked frame", unmasked, 1002},
		{"RSV1 without compression", masked(fin|rsv1|opText, "x"), 1002},
		{"RSV2", masked(fin|0x20|opText, "x"), 1002},
		{"unknown opcode", masked(fin|0x3, "x"), 1002},
		{"unknown control opcode", masked(fin|0xB, "x"), 1002},
		{"fragmented ping", masked(opPing, "x"), 1002},
		{"long ping", masked(fin|opPing, big[:126]), 1002},
		{"continuation alone", masked(fin|opContinuation, "x"), 1002},
		{"message inside a message", concat(masked(opText, "x"), text("y")), 1002},
		{"length not minimal", []byte{fin | opText, 0x80 | 126, 0, 5, 0, 0, 0, 0, 1, 2, 3, 4, 5}, 1002},
		{"length with the top bit", []byte{fin | opText, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 1}, 1002},
		{"huge length", []byte{fin | opText, 0x80 | 127, 0, 0, 1, 0, 0, 0, 0, 1}, 1009},
		{"too big", text(big), 1009},
		{"too big in fragments", concat(masked(opText, big[:900]), masked(opContinuation, big[:900])), 1009},
		{"empty continuation flood", concat(masked(opText, ""), bytes.Repeat(masked(opContinuation, ""), 1000)), 1009},
		{"invalid UTF-8", text("a\xffb"), 1007},
		{"UTF-8 cut off", text("\xe2\x82"), 1007},
		{"surrogate", text("\xed\xa0\x80"), 1007},
		{"invalid UTF-8 across fragments", concat(masked(opText, "\xe2"), masked(fin|opContinuation, "(\xa1")), 1007},
		{"close with one byte", masked(fin|opClose, "x"), 1002},
		{"close code 1005", closing(1005, ""), 1002},
		{"close code 999", closing(999, ""), 1002},
		{"close code 5000", closing(5000, ""), 1002},
		{"close reason not UTF-8", closing(1000, "\xff"), 1007},
		{"deflate bomb", masked(fin|rsv1|opText, deflated(strings.Repeat("b", 100_000))), 1009},
		{"zero-output deflate blocks", masked(rsv1|opText, zeroBlocks), 1009},
		{"zero-output deflate blocks in fragments", concat(masked(rsv1|opText, ""), bytes.Repeat(masked(opContinuation, zeroBlocks[:500]), 20)), 1009},
		{"malformed compression", masked(fin|rsv1|opText, "\xff\xff\xff"), 1007},
		{"compressed invalid UTF-8", masked(fin|rsv1|opText, deflated("a\xffb")), 1007},
		{"RSV1 on a continuation", concat(masked(rsv1|opText, "x"), masked(fin|rsv1|opContinuation, "y")), 1002},
	} {
		compressed := strings.Contains(tc.name, "defl") || strings.Contains(tc.name, "compress") && !strings.Contains(tc.name, "without")
		t.Run(tc.name, func(t *testing.T) {
			cfg := Config{MaxMessageBytes: 1000, Compression: true, CloseTimeout: time.Second}
			eachMode(t, cfg, func(t *testing.T, r *rig) {
				headers := ""
				if compressed || strings.Contains(tc.name, "continuation") && tc.code == 1002 && strings.HasPrefix(tc.name, "RSV1") {
					headers = deflateOffer
				}
				c, p := r.connectWith(headers)
				c.write(tc.bytes)
				_ = c.tryWrite(bytes.Repeat(text("garbage after the end"), 100))
				c.expectClose(tc.code)
				_ = c.Close()
				p.expectClosed(t, tc.code)
				if len(p.messages) != 0 {
					t.Errorf("the handler got %q", <-p.messages)
				}
				until(t, "the socket is freed", func() bool { return r.Stats().Open == 0 })
			})
		})
	}
}

func TestUTF8MayBeSplitAcrossFragments(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		c.write(concat(masked(opText, "\xe2"), masked(opContinuation, ""), masked(opContinuation, "\x82"), masked(fin|opContinuation, "\xac")))
		p.expect(t, "€")
		c.write(masked(fin|opBinary, "\xff\xfe"))
		if m := take(t, p.messages); m.op != wire.Binary || m.payload != "\xff\xfe" {
			t.Errorf("got %v", m)
		}
		c.write(text(""))
		p.expect(t, "")
	})
}

func TestPingFloodQueuesNothing(t *testing.T) {
	eachMode(t, Config{SendQueueBytes: 4 << 10}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		go func() { _, _ = io.Copy(io.Discard, c.br) }()
		flood := bytes.Repeat(masked(fin|opPing, strings.Repeat("p", 125)), 1000)
		for range 20 {
			c.write(flood)
		}
		c.write(text("still here"))
		p.expect(t, "still here")
		if r.Stats().ControlIn != 20_000 {
			t.Errorf("%+v", r.Stats())
		}
	})
}

func TestCloseAndAbortFromWithinReceive(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		r.receive = func(p *peer, m message) bool {
			if m.payload == "abort" {
				p.conn.Abort()
			} else {
				p.conn.Close(wire.Close{Code: wire.CloseUnsupported, Reason: "no"})
			}
			select {
			case <-p.closed:
				t.Error("closed while Receive runs")
			default:
			}
			return m.payload != "hold"
		}
		for _, how := range []string{"close", "hold"} {
			c, p := r.connect(concat(text(how), text("discarded"))...)
			c.expectClose(wire.CloseUnsupported)
			c.write(closing(1003, ""))
			c.expectEnd()
			p.expectClosed(t, wire.CloseUnsupported)
		}
		c, p := r.connect()
		c.write(concat(text("abort"), text("abort")))
		c.expectEnd()
		p.expectClosed(t, wire.CloseAbnormal)
	})
}

func TestNothingIsReceivedBetweenHoldAndResume(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		r.receive = func(p *peer, m message) bool {
			p.messages <- m
			switch m.payload {
			case "early":
				p.conn.Resume()
				return false
			case "hold":
				return false
			}
			return true
		}
		c, p := r.connect()
		c.write(concat(text("early"), text("hold"), text("after"), text("part")[:7]))
		p.expect(t, "early")
		p.expect(t, "hold")
		c.write(concat(text("part")[7:], text("last")))
		runtime.Gosched()
		if len(p.messages) != 0 {
			t.Errorf("got %v while held", <-p.messages)
		}
		p.conn.Resume()
		for _, want := range []string{"after", "part", "last"} {
			p.expect(t, want)
		}
		c.write(text("hold"))
		p.expect(t, "hold")
		p.conn.Close(wire.Close{Code: 4003})
		c.expectClose(4003)
		c.write(closing(4003, ""))
		p.expectClosed(t, 4003)
		p.conn.Resume()
	})
}

func TestResumeRacesWithReceive(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		r.receive = func(p *peer, m message) bool {
			go func() {
				p.messages <- m
				p.conn.Resume()
			}()
			return false
		}
		c, p := r.connect()
		go func() {
			for i := range 300 {
				_ = c.tryWrite(text(name(i)))
			}
		}()
		for i := range 300 {
			p.expect(t, name(i))
		}
	})
}

func TestConcurrentSendCloseAndAbort(t *testing.T) {
	eachMode(t, Config{CloseTimeout: 200 * time.Millisecond, SendQueueBytes: 32 << 10}, func(t *testing.T, r *rig) {
		for i := range 50 {
			c, p := r.connect()
			go func() { _, _ = io.Copy(io.Discard, c.br); _ = c.Close() }()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					fs := []*wire.Frame{textFrame("a"), textFrame(strings.Repeat("b", 3000))}
					for p.conn.SendAll(fs) && p.conn.Send(fs[0]) {
					}
				})
			}
			wg.Go(func() {
				if i%2 == 0 {
					p.conn.Close(wire.Close{Code: 4003})
				} else {
					p.conn.Abort()
				}
			})
			wg.Wait()
			take(t, p.closed)
		}
	})
}

func TestNothingFollowsACloseFrame(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		c, p := r.connect()
		p.conn.Close(wire.Close{Code: 1001})
		c.write(concat(masked(fin|opPing, "x"), text("y")))
		c.expectClose(1001)
		c.write(concat(masked(fin|opPing, "x"), closing(1001, "")))
		c.expectEnd()
		p.expectClosed(t, 1001)
	})
}

func TestCloseCodesThatMayNotBeSent(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		for _, code := range []wire.CloseCode{0, wire.CloseNoStatus, wire.CloseAbnormal} {
			c, p := r.connect()
			p.conn.Close(wire.Close{Code: code, Reason: "never shown"})
			c.expect(fin|opClose, "")
			c.write(masked(fin|opClose, ""))
			p.expectClosed(t, code)
		}
		c, p := r.connect()
		p.conn.Close(wire.Close{Code: 4003, Reason: strings.Repeat("é", 100)})
		c.expect(fin|opClose, "\x0f\xa3"+strings.Repeat("é", 61))
		_ = c.Close()
		p.expectClosed(t, 4003)

		c, p = r.connect()
		c.write(masked(fin|opClose, ""))
		c.expect(fin|opClose, "")
		p.expectClosed(t, wire.CloseNoStatus)
	})
}

func TestUpgradesThatAreNone(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		for _, tc := range []struct {
			name, request string
			status        int
		}{
			{"body", upgrade + "Content-Length: 4\r\n\r\nbody", 400},
			{"chunked body", upgrade + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
			{"no upgrade", "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", 426},
			{"other upgrade", strings.Replace(upgrade, "websocket", "h2c", 1) + "\r\n", 426},
			{"POST", strings.Replace(upgrade, "GET", "POST", 1) + "\r\n", 405},
			{"old version", strings.Replace(upgrade, "13", "8", 1) + "\r\n", 400},
			{"short key", strings.Replace(upgrade, "AAAA", "", 1) + "\r\n", 400},
		} {
			c := r.raw()
			c.write([]byte(tc.request))
			res, err := http.ReadResponse(c.br, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != tc.status || len(body) == 0 || !res.Close {
				t.Errorf("%s: %s %q close=%v", tc.name, res.Status, body, res.Close)
			}
			if _, err := c.br.ReadByte(); err == nil {
				t.Errorf("%s: the connection stays open", tc.name)
			}
			if take(t, r.errs) == nil {
				t.Errorf("%s: accepted", tc.name)
			}
		}
	})
}

func TestTheSelectedSubprotocolIsAnswered(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		r.sub = "gateway.v1"
		c := r.raw()
		c.write([]byte(upgrade + "Sec-WebSocket-Protocol: gateway.v1.bearer.abc, gateway.v1\r\n\r\n"))
		res, err := http.ReadResponse(c.br, nil)
		if err != nil || res.Header.Get("Sec-WebSocket-Protocol") != "gateway.v1" {
			t.Errorf("%v %v", res, err)
		}
	})
}

func TestShutdownCutsHeldAndBusyConnections(t *testing.T) {
	eachMode(t, Config{}, func(t *testing.T, r *rig) {
		gate, busy := make(chan struct{}), make(chan struct{})
		r.receive = func(_ *peer, m message) bool {
			if m.payload == "busy" {
				close(busy)
				<-gate
			}
			return false
		}
		_, held := r.connect(text("hold")...)
		_, working := r.connect(text("busy")...)
		<-busy
		done := make(chan error)
		go func() { done <- r.Shutdown(t.Context()) }()
		held.expectClosed(t, wire.CloseAbnormal)
		close(gate)
		if err := <-done; err != nil {
			t.Error(err)
		}
		working.expectClosed(t, wire.CloseAbnormal)
		if err := r.Pace(t.Context()); err != nil {
			t.Error("nothing is queued:", err)
		}
	})
}
