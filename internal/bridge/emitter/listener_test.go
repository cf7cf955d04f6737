package emitter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestWhatAnEmitterOfNodePublishesIsCarriedOut(t *testing.T) {
	redis := redistest.Single(t)
	m := redistest.Manager(t, redis.Config())
	r, other := listen(t, m, config()), listen(t, m, config())
	all := []struct{ js, want string }{
		{`io.emit("hi", 1, "a", {x: true})`, `/ to : hi 1,"a",{"x":true}`},
		{`io.emit("hi")`, `/ to : hi `},
		{`io.to("room1").emit("hi", "x")`, `/ to room1: hi "x"`},
		{`io.to(["r1", "r2"]).except("r3").emit("hi", [[]])`, `/ to r1,r2 but r3: hi [[]]`},
		{`io.except(["r3", "r4"]).emit("hi", null)`, `/ to  but r3,r4: hi null`},
		{`io2.to("room1").emit("hi", "x")`, `/admin to room1: hi "x"`},
		{`io.volatile.compress(false).emit("v")`, `/ to : v `},
		{`io.to("a#b").emit("odd room")`, `/ to a#b: odd room `},
		{`io.to(42).emit(7, "numbers")`, `/ to 42: 7 "numbers"`},
		{`io.emit("bin", Buffer.from([1, 2, 3]), {deep: new Uint8Array([255])})`,
			`/ to : bin {"_binary":true,"base64":"AQID"},{"deep":{"_binary":true,"base64":"/w=="}}`},
		{`io.emit("n", 0, -0, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 9007199254740991)`,
			`/ to : n 0,0,127,128,255,256,65535,65536,4294967295,4294967296,9007199254740991`},
		{`io.emit("n", -1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -9007199254740991)`,
			`/ to : n -1,-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649,-9007199254740991`},
		{`io.emit("f", 1.5, -0.1, 1e-7, 5e-324, NaN, Infinity, -Infinity)`, `/ to : f 1.5,-0.1,1e-7,5e-324,null,null,null`},
		{`io.emit("d", new Date(0), new Date(1767225600123), new Date(-1), new Date(8.64e15 - 1), new Date(-62198755200000))`,
			`/ to : d "1970-01-01T00:00:00.000Z","2026-01-01T00:00:00.123Z","1969-12-31T23:59:59.999Z","+275760-09-12T23:59:59.999Z","-000001-01-01T00:00:00.000Z"`},
		{`io.emit("u", undefined, [undefined], {no: undefined, f() {}})`, `/ to : u null,[null],{}`},
		{`io.emit("t", "\u20ac \ud83d\ude00 \u2028 \"q\" \\ \n\u0000\u001e", {"k\"": 1})`,
			"/ to : t \"\u20ac \U0001f600 \u2028 \\\"q\\\" \\\\ \\u000a\\u0000\\u001e\",{\"k\\\"\":1}"},
		{`io.emit("big", "x".repeat(70000).length, Array(20).fill(0), "y".repeat(40))`,
			`/ to : big 70000,[` + strings.Repeat("0,", 19) + `0],"` + strings.Repeat("y", 40) + `"`},
		{`io.in("r1").socketsJoin(["r8", "r9"])`, `/ to r1: join r8,r9`},
		{`io.in("r1").except("r2").socketsLeave("r9")`, `/ to r1 but r2: leave r9`},
		{`io2.in("r1").disconnectSockets(true)`, `/admin to r1: disconnect true`},
		{`io.disconnectSockets()`, `/ to : disconnect false`},
		{`io.serverSideEmit("ping", 1)`, ``},
		{`io.to("empty").emit("nobody here")`, ``},
		{`io.emit("room_joined", {})`, ``},
		{`io.of("/other").emit("elsewhere")`, ``},
		{`io.socketsJoin("r1")`, `/ to : join r1`},
	}
	var lines, want []string
	for _, c := range all {
		lines = append(lines, c.js)
		if c.want != "" {
			want = append(want, c.want)
		}
	}
	publish(t, redis, "socket.io", lines...)
	r.expect(want...)
	other.expect(want...) // every instance does everything
	r.until("all is counted", func() bool { return r.Stats().Requests == 5 })
	got := r.Stats()
	if got != (Stats{Connected: true, Received: 25, Events: 17, Elsewhere: 1, Delivered: 34, Requests: 5, Servers: 1, Refused: 1}) {
		t.Errorf("%+v", got)
	}
}

func TestNamesThatAreReservedAreRefused(t *testing.T) {
	redis := redistest.Single(t)
	r := listen(t, redistest.Manager(t, redis.Config()), config())
	names := []string{"connected", "error", "gap", "reconnect", "publish", "join_room", "room_left", "disconnect", "connect_error", "newListener", ""}
	for _, name := range names { // the emitter itself refuses some
		send(t, redis, "socket.io#/#", wrap(name))
	}
	send(t, redis, "socket.io#/#", wrap("last"))
	r.expect("/ to : last 1")
	if got := r.Stats(); got.Refused != int64(len(names)) || got.Events != 1 {
		t.Errorf("%+v", got)
	}
	if n := r.logs.FilterLevelExact(zap.WarnLevel).Len(); n != 1 {
		t.Errorf("the log was told %d times", n)
	}
}

func TestWhatIsNoMessageDoesNoHarm(t *testing.T) {
	redis := redistest.Single(t)
	cfg := config()
	cfg.MaxData = 1000
	r := listen(t, redistest.Manager(t, redis.Config()), cfg)
	for _, raw := range []string{"", "\x93", "\xdd\xff\xff\xff\xff", "{}", strings.Repeat("\x91", 900), wrap(strings.Repeat("x", 1000))} {
		send(t, redis, "socket.io#/#", raw)
	}
	for _, raw := range []string{`{`, `{"type":"2"}`, `{"type":4,"opts":{"rooms":[null]}}`, `{"type":4,"opts":{"rooms":[{}]}}`, `{"type":4,"opts":7}`,
		`{"type":2,"opts":{},"rooms":["` + strings.Repeat("r", 1000) + `"]}`} {
		send(t, redis, "socket.io-request#/#", raw)
	}
	for _, raw := range []string{`{}`, `{"type":4,"sid":"a"}`, `{"type":0,"opts":{}}`, `{"type":5,"requestId":"a","opts":{"rooms":[]}}`, "\x80", ``} {
		send(t, redis, "socket.io-request#/#", raw) // questions of Node servers
	}
	other := "\x93\xa1u\x83\xa4type\x02\xa4data\x91\xa1e\xa3nsp\xa2/x\x82\xa5rooms\xc0\xa6except\xc0"
	send(t, redis, "socket.io#/#", other)
	send(t, redis, "socket.io#/#", strings.Replace(other, "\x02", "\x03", 1))
	send(t, redis, "socket.io#/#", strings.Replace(other, "\xa2/x", "\xc0", 1))
	r.expect("/ to : e ")
	if got := r.Stats(); got.Unreadable != 12 || got.Ignored != 8 || got.Events != 1 || got.Requests != 0 {
		t.Errorf("%+v", got)
	}
}

func TestRequestsOffIsNoSubscriberThatMustAnswer(t *testing.T) {
	redis := redistest.Single(t)
	m := redistest.Manager(t, redis.Config())
	subscribers := func() int64 {
		return redis.Client().PubSubNumSub(t.Context(), "socket.io-request#/#").Val()["socket.io-request#/#"]
	}
	cfg := config()
	cfg.Requests = false
	r := listen(t, m, cfg)
	if n := subscribers(); n != 0 {
		t.Errorf("%d subscribers", n)
	}
	publish(t, redis, "socket.io", `io.disconnectSockets()`, `io.emit("e")`)
	r.expect("/ to : e ")
	listen(t, m, config())
	if n := subscribers(); n != 1 {
		t.Errorf("%d subscribers with requests", n)
	}
}

func TestAKeyIsTakenByTheLetter(t *testing.T) {
	redis := redistest.Single(t)
	cfg := config()
	cfg.Key, cfg.Namespaces = `my[app]*?\`, nil
	r := listen(t, redistest.Manager(t, redis.Config()), cfg)
	publish(t, redis, "my[app]", `io.emit("no")`)
	send(t, redis, `mya0x\#/#`, wrap("no"))
	publish(t, redis, cfg.Key, `io.emit("yes")`, `io.to("r").emit("yes")`, `io.socketsJoin("r")`, `io2.emit("no")`)
	r.expect("/ to : yes ", "/ to r: yes ", "/ to : join r")
}

func TestOffListensToNothing(t *testing.T) {
	redis := redistest.Single(t)
	cfg := config()
	cfg.Key = Off
	r := listen(t, redistest.Manager(t, redis.Config()), cfg)
	if n := redis.Client().PubSubNumPat(t.Context()).Val(); n != 0 || r.Err() != nil || r.Stats() != (Stats{}) {
		t.Errorf("%d patterns, %v, %+v", n, r.Err(), r.Stats())
	}
}

func TestAnInstanceListensAgainAfterRedisWasAway(t *testing.T) {
	redis := redistest.Single(t)
	r := listen(t, redistest.Manager(t, redis.Config()), config())
	for n := range 2 {
		redis.Kill()
		r.until("it says so", func() bool { return r.Err() != nil && !r.Stats().Connected })
		redis.Restart()
		r.until("it listens again", r.connected)
		send(t, redis, "socket.io#/#", wrap("back"))
		r.expect("/ to : back 1")
		if got := r.Stats().Reconnects; got != int64(n+1) {
			t.Errorf("%d reconnects", got)
		}
	}
	lost, back := r.logs.FilterMessageSnippet("is lost").Len(), r.logs.FilterMessageSnippet("is back").Len()
	if lost != 2 || back != 2 {
		t.Errorf("the log was told %d times of a loss, %d times of the end", lost, back)
	}
}

func TestAnInstanceStartsBeforeRedis(t *testing.T) {
	redis := redistest.Single(t)
	redis.Kill()
	m := redistest.NewManager(t, redis.Config())
	m.Start()
	l := New(config(), Parts{Redis: m, Local: &instance{}, Log: zap.NewNop()})
	l.Start()
	defer l.Shutdown()
	until(t, "it says so", func() bool { return errors.Is(l.Err(), redisconn.ErrAway) })
	redis.Restart()
	until(t, "it listens", func() bool { return l.Err() == nil })
}

func TestASilentConnectionIsReplaced(t *testing.T) {
	redis := redistest.Single(t)
	r := listen(t, redistest.Manager(t, redis.Config()), config(), func(l *Listener) { l.silence = 300 * time.Millisecond })
	redis.Stop()
	defer redis.Continue()
	r.until("it is noticed", func() bool { return r.Err() != nil })
	redis.Continue()
	r.until("it listens again", r.connected)
	send(t, redis, "socket.io#/#", wrap("back"))
	r.expect("/ to : back 1")
}

func TestAQuietConnectionIsKept(t *testing.T) {
	redis := redistest.Single(t)
	r := listen(t, redistest.Manager(t, redis.Config()), config(), func(l *Listener) { l.silence = 2 * time.Second })
	time.Sleep(2500 * time.Millisecond) // longer than it may be silent
	if !r.connected() || r.Stats().Reconnects != 0 {
		t.Errorf("%v, %+v", r.Err(), r.Stats())
	}
}

func TestWhatComesTooFastIsDroppedAndTheConnectionStays(t *testing.T) {
	redis := redistest.Single(t)
	gate := make(chan struct{})
	r := listen(t, redistest.Manager(t, redis.Config()), config())
	r.hang(gate)
	flood := func(n int, raw string) {
		pipe := redis.Client().Pipeline()
		for range n {
			pipe.Publish(t.Context(), "socket.io#/#", raw)
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	send(t, redis, "socket.io#/#", wrap("first"))
	r.until("it hangs", func() bool { return r.count() == 1 })
	flood(maxWaiting+500, wrap("many"))
	r.until("all came", func() bool { return r.Stats().Received == maxWaiting+501 })
	if got := r.Stats(); got.Dropped != 500 {
		t.Errorf("%+v", got)
	}
	close(gate)
	r.until("the rest is done", func() bool { return r.count() == maxWaiting+1 })
	if got := r.Stats(); got.Reconnects != 0 || !got.Connected || r.waitingBytes.Load() != 0 {
		t.Errorf("%+v, %d bytes", got, r.waitingBytes.Load())
	}

	again := make(chan struct{})
	r.hang(again)
	large := strings.Replace(wrap("large"), "\x01\xa3nsp", "\xdb\x00\x0f\x42\x40"+strings.Repeat("x", 1_000_000)+"\xa3nsp", 1)
	for range 30 { // read one after the other: Redis bounds what it holds for a reader
		received := r.Stats().Received
		flood(1, large)
		r.until("it came", func() bool { return r.Stats().Received == received+1 })
	}
	if got, held := r.Stats(), r.waitingBytes.Load(); got.Dropped < 512 || held > maxWaitingBytes {
		t.Errorf("%+v, %d bytes", got, held)
	}
	close(again)
	r.until("the rest is done", func() bool { return r.waitingBytes.Load() == 0 })
}

func TestShutdownDoesNotWaitForWhatIsLeft(t *testing.T) {
	redis := redistest.Single(t)
	r := listen(t, redistest.Manager(t, redis.Config()), config())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	gate := make(chan struct{})
	r.hang(gate)
	for range 10 {
		send(t, redis, "socket.io#/#", wrap("e"))
	}
	r.until("all came", func() bool { return r.Stats().Received == 10 && r.count() == 1 })
	cancel()
	r.until("it ends", func() bool { return r.ctx.Err() != nil })
	close(gate)
	<-ended
	if n := r.count(); n > 10 {
		t.Errorf("%d were done", n)
	}
	r.Start() // too late
	r.Shutdown()
}

func TestAJoinThatCannotBeIsSaidOnce(t *testing.T) {
	redis := redistest.Single(t)
	r := listen(t, redistest.Manager(t, redis.Config()), config())
	r.instance.bad = wire.NewError(wire.Forbidden, "not this room")
	for range 3 {
		send(t, redis, "socket.io-request#/#", `{"type":2,"opts":{"rooms":["a"],"except":[]},"rooms":["b",7]}`)
	}
	r.expect("/ to a: join b,7", "/ to a: join b,7", "/ to a: join b,7")
	r.until("it is counted", func() bool { return r.Stats().Refused == 3 })
	if said := r.logs.FilterLevelExact(zap.WarnLevel).Len(); said != 1 {
		t.Errorf("said %d times", said)
	}
}

func TestAUserWhoMayNotListenIsTold(t *testing.T) {
	redis := redistest.Single(t)
	if err := redis.Client().Do(t.Context(), "ACL", "SETUSER", "gateway", "on", ">secret-word", "~*", "+@all", "resetchannels").Err(); err != nil {
		t.Fatal(err)
	}
	cfg := redis.Config()
	cfg.Username, cfg.Password = "gateway", "secret-word"
	l := New(config(), Parts{Redis: redistest.Manager(t, cfg), Local: &instance{}, Log: zap.NewNop()})
	l.Start()
	defer l.Shutdown()
	until(t, "it says so", func() bool { err := l.Err(); return err != nil && strings.Contains(err.Error(), "NOPERM") })
	if strings.Contains(l.Err().Error(), "secret-word") {
		t.Error(l.Err())
	}
	redis.Client().Do(t.Context(), "ACL", "SETUSER", "gateway", "allchannels")
	until(t, "it listens", func() bool { return l.Err() == nil })
}

func TestMessagesOfAnyNodeOfAClusterArrive(t *testing.T) {
	nodes := redistest.Cluster(t)
	r := listen(t, redistest.Manager(t, redistest.ClusterConfig(nodes)), config())
	var want []string
	for n, node := range nodes {
		send(t, node, "socket.io#/#", wrap(fmt.Sprint("from ", n)))
		want = append(want, fmt.Sprintf("/ to : from %d 1", n))
		r.until("it is done", func() bool { return r.count() == n+1 })
	}
	r.expect(want...)
}

// wrap is a message to all with one argument, 1.
func wrap(event string) string {
	n := len(event)
	name := string([]byte{0xdb, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + event
	return "\x93\xa7emitter\x83\xa4type\x02\xa4data\x92" + name + "\x01\xa3nsp\xa1/\x83\xa5rooms\x90\xa5flags\x80\xa6except\x90"
}

// send publishes as it is.
func send(t *testing.T, s *redistest.Server, channel, raw string) {
	t.Helper()
	if err := s.Client().Publish(t.Context(), channel, raw).Err(); err != nil {
		t.Fatal(err)
	}
}
