//go:build linux

package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// scenario is one subcommand.
type scenario struct {
	name  string
	short string
	conns string // the name of the flag for the number of connections
	n     int    // its default
	flags func(fs *flag.FlagSet, o *bench.Options)
	check func(o *bench.Options) error
	run   func(ctx context.Context, o *bench.Options, res *report.Result) error
}

func fine(*bench.Options) error { return nil }

func scenarios() []scenario {
	return []scenario{
		{"idle", "what idle connections cost the server", "n", 15000, idleFlags, fine, bench.Idle},
		{"fanout", "one room, many members, every delivery checked", "members", 1000, fanoutFlags, fanoutCheck, bench.Fanout},
		{"publish", "many clients publish, acknowledged and not", "n", 200, publishFlags, publishCheck, bench.Publish},
		{"echo", "request and reply: latency and throughput", "n", 1000, echoFlags, echoCheck, bench.Echo},
		{"mixed", "rooms that share members, publications at a rate, and what else is asked for", "n", 3000, mixedFlags, mixedCheck, bench.Mixed},
		{"churn", "connections come and go, and members leave and join, beside those that stay", "n", 2000, churnFlags, mixedCheck, bench.Mixed},
		{"soak", "mixed for long, with a look for leaks", "n", 3000, soakFlags, mixedCheck, bench.Soak},
		{"slow", "many slow partial messages at once", "n", 15000, slowFlags, fine, bench.Slow},
		{"storm", "connections that come back, while a server ends or servers hand off", "n", 6000, stormFlags, stormCheck, bench.Storm},
		{"drain", "hold connections while the server drains", "n", 10000, drainFlags, drainCheck, bench.Drain},
	}
}

func flags(s *scenario, o *bench.Options, out *output) *flag.FlagSet {
	fs := flag.NewFlagSet(s.name, flag.ContinueOnError)
	fs.StringVar(&o.URL, "url", "ws://127.0.0.1:3007/ws", "the gateway's WebSocket endpoint; several, separated by commas, are taken in turn")
	fs.BoolVar(&o.AllowRemote, "allow-remote", false, "allow a target that is not a loopback address")
	fs.IntVar(&o.Conns, s.conns, s.n, "connections; each is a user of its own")
	fs.IntVar(&o.Threads, "threads", 1, "event loops")
	fs.IntVar(&o.Ramp, "ramp", 5000, "new connections per second")
	fs.IntVar(&o.InFlight, "inflight", 128, "handshakes under way at most")
	fs.IntVar(&o.SrcAddrs, "src-addrs", 8, "loopback source addresses to use in turn, from 127.0.0.2 on; 0: the kernel's choice")
	fs.StringVar(&o.Users, "users", "bench-", "prefix of the user ids, which are the credentials")
	fs.StringVar(&o.Protocol, "protocol", bench.Plain, "plain: gateway.v1; socketio: Socket.IO over a WebSocket, at /socket.io/ unless -url has another path")
	fs.StringVar(&o.TokenFile, "tokens", "", "file with credentials, one a line, taken in turn; without it the user ids are the credentials")
	fs.StringVar(&o.RoomPrefix, "room-prefix", "bench-", "prefix of the rooms' names")
	fs.IntVar(&o.PID, "pid", 0, "the server's process id: report its memory and CPU")
	fs.DurationVar(&o.UpTimeout, "up-timeout", time.Minute, "bring all connections up within")
	fs.StringVar(&o.Metrics, "metrics", "", "URL of the server's Prometheus metrics, such as http://127.0.0.1:9007/metrics: report memory and CPU without -pid; idle and soak: also live heap and goroutines")
	fs.StringVar(&o.AdminKey, "admin-key", "", "key of the admin port, to force a collection before the heap is read")
	out.flags(fs)
	o.Rooms, o.Publishers, o.Pipeline, o.Chunks, o.Memberships = 1, 1, 1, 1, 1
	s.flags(fs, o)
	workersFlag(fs, s, o)
	fs.Usage = func() {
		_, _ = fmt.Fprintf(fs.Output(), "wsbench %s: %s\n\n", s.name, s.short)
		fs.PrintDefaults()
	}
	return fs
}

func idleFlags(fs *flag.FlagSet, o *bench.Options) {
	fs.DurationVar(&o.Settle, "settle", time.Minute, "hold the connections for")
	fs.IntVar(&o.Rooms, "rooms", 1, "rooms over which the connections are spread")
	fs.IntVar(&o.RoomSize, "room-size", 0, "members of each room, instead of -rooms")
	fs.BoolVar(&o.CompareNaive, "compare-naive", false, "measure a naive coder/websocket server beside it")
}

func fanoutFlags(fs *flag.FlagSet, o *bench.Options) {
	measureFlags(fs, o)
	fs.Float64Var(&o.Rate, "rate", 0, "publications per second, all together, at intended times; 0: as fast as back-pressure allows")
	fs.IntVar(&o.Rooms, "rooms", 1, "rooms over which the members are spread")
	fs.IntVar(&o.Memberships, "memberships", 1, "rooms of each member; with several, rooms share members, and there is one publisher per room")
	fs.IntVar(&o.Publishers, "publishers", 1, "publishing members per room")
	fs.IntVar(&o.Window, "window", 0, "publications under way per publisher; 0: chosen for throughput")
	fs.DurationVar(&o.StallAfter, "stall", 5*time.Second, "give up when nothing was received for")
	fs.IntVar(&o.Stalled, "stalled", 0, "measure again beside so many members that read nothing, and compare the latencies")
	fs.StringVar(&o.Baseline, "baseline", "", "writev: measure a server that only writes beside it")
	fs.IntVar(&o.Batch, "batch", 32, "frames per writev of the baseline; 1: a plain write each")
}

func fanoutCheck(o *bench.Options) error {
	if o.Baseline != "" && o.Baseline != "writev" {
		return fmt.Errorf("-baseline %q: only writev is known", o.Baseline)
	}
	if o.Batch < 1 || o.Batch > 1024 {
		return errors.New("-batch must be 1 to 1024")
	}
	if o.Window > 1<<16 {
		return errors.New("-window above 65536")
	}
	return overlapCheck(o)
}

func measureFlags(fs *flag.FlagSet, o *bench.Options) {
	fs.IntVar(&o.Size, "size", 100, "bytes of data in each message")
	fs.DurationVar(&o.Duration, "duration", 10*time.Second, "measure for")
	fs.DurationVar(&o.Warmup, "warmup", time.Second, "run before measuring for")
}

func echoFlags(fs *flag.FlagSet, o *bench.Options) {
	measureFlags(fs, o)
	fs.Float64Var(&o.Rate, "rate", 0, "requests per second, all together, at intended times; 0: the next follows a reply")
	fs.StringVar(&o.Mode, "mode", bench.EchoPing, "ping; publish: to a room of one's own, until the own copy has come; route: an event that the gateway's policy hands to a service")
	fs.StringVar(&o.Event, "event", "bench:ask", "the event of -mode route")
	fs.IntVar(&o.Pipeline, "pipeline", 1, "requests under way per connection without -rate")
}

func echoCheck(o *bench.Options) error {
	switch o.Mode {
	case bench.EchoPing, bench.EchoPublish, bench.EchoRoute:
	default:
		return fmt.Errorf("-mode %q: ping, publish or route", o.Mode)
	}
	if name := regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,128}$`); o.Mode == bench.EchoRoute && !name.MatchString(o.Event) {
		return fmt.Errorf("-event %q: 1 to 128 letters, digits and _.:/-", o.Event)
	}
	return nil
}

func slowFlags(fs *flag.FlagSet, o *bench.Options) {
	fs.IntVar(&o.Size, "size", 100, "bytes of each message")
	fs.IntVar(&o.Chunks, "chunks", 20, "pieces in which each message is sent")
	fs.DurationVar(&o.Duration, "duration", 10*time.Second, "from the first piece to the last")
}

func drainFlags(fs *flag.FlagSet, o *bench.Options) {
	fs.IntVar(&o.RoomSize, "room-size", 10, "members of each room")
	fs.IntVar(&o.Size, "size", 100, "bytes of data in each message")
	fs.Float64Var(&o.PublishRate, "publish-rate", 0, "publications per second, all rooms together, until the server refuses them")
	fs.DurationVar(&o.Settle, "settle", 2*time.Second, "hold the connections before the signal for")
	fs.BoolVar(&o.Sigterm, "sigterm", false, "send SIGTERM to -pid; else somebody else starts the drain")
	fs.DurationVar(&o.DrainWait, "drain-wait", time.Minute, "wait for the end of the drain for")
}

func drainCheck(o *bench.Options) error {
	if o.Sigterm && o.PID <= 1 {
		return errors.New("-sigterm needs the -pid of the server")
	}
	return nil
}

func stormFlags(fs *flag.FlagSet, o *bench.Options) {
	fs.IntVar(&o.RoomSize, "room-size", 10, "members of each room")
	fs.IntVar(&o.Size, "size", 100, "bytes of data in each message")
	fs.Float64Var(&o.PublishRate, "publish-rate", 200, "publications per second, all rooms together")
	fs.DurationVar(&o.Settle, "settle", 2*time.Second, "hold the connections before anything happens for")
	fs.BoolVar(&o.First, "first", false, "all connections begin at the first -url")
	fs.IntVar(&o.Victim, "victim", 0, "process id of the server to end with SIGKILL; 0: none, the servers hand off by themselves")
	fs.BoolVar(&o.Sigterm, "sigterm", false, "end the -victim with SIGTERM")
	fs.DurationVar(&o.Jitter, "jitter", time.Second, "spread the attempts to come back over")
	fs.DurationVar(&o.Watch, "watch", 15*time.Second, "look on for")
}

func stormCheck(o *bench.Options) error {
	if o.Victim == 1 || o.Victim < 0 || o.Sigterm && o.Victim == 0 {
		return errors.New("-victim wants the process id of a server, and -sigterm wants a -victim")
	}
	return nil
}
