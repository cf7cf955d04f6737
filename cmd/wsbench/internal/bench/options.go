//go:build linux

package bench

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/engine"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/proc"
	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/report"
)

// Options are the parameters of every scenario.
type Options struct {
	URL         string
	AllowRemote bool
	Conns       int // connections, or members
	Threads     int
	Ramp        int
	InFlight    int
	SrcAddrs    int
	Protocol    string // Plain or SocketIO; "": Plain
	Users       string // prefix of user ids
	TokenFile   string
	tokens      []string // of TokenFile, taken in turn; nil: the user ids
	RoomPrefix  string
	Rooms       int
	RoomSize    int
	PID         int
	Metrics     string
	AdminKey    string
	UpTimeout   time.Duration // for bringing all connections up

	Size     int
	Duration time.Duration
	Warmup   time.Duration
	Rate     float64 // per second; 0: closed loop

	Settle       time.Duration // idle
	CompareNaive bool

	Publishers int // fanout
	Window     int
	Stalled    int // members that read nothing, in a second run
	Baseline   string
	Batch      int           // frames per call of the baseline
	StallAfter time.Duration // nothing received for so long: stalled

	Mode     string // echo
	Event    string // of a route
	Pipeline int    // and publish: publications under way per publisher

	Acks        string // publish
	Subscribers int    // per publisher
	Outside     bool   // publishers are no members of their rooms

	Memberships int // mixed, churn, soak, fanout: rooms of each connection
	Moving      int // connections that come and go
	ChurnRate   float64
	HopRate     float64 // rooms left and joined again per second

	Chunks int // slow

	Sigterm     bool // drain
	PublishRate float64
	DrainWait   time.Duration

	First  bool // storm: all connections begin at the first target
	Victim int  // process that is ended
	Jitter time.Duration
	Watch  time.Duration

	Share      Share  // of a run of several processes
	Broadcasts int    // hold: publications to everyone
	ComeBack   bool   // connections that are put off while they come up (1013) try again
	Secret     []byte // of tokens that are signed for each user; nil: none are

	Progress *report.Progress `json:"-"`
	Self     string           `json:"-"` // our own executable, for helper processes
}

// reserved descriptors: loops, files, helper processes, HTTP.
const reserved = 64

// Check finds what is wrong with the options and fills in what depends on
// others. Its errors are the user's.
func (o *Options) Check() error {
	if err := o.checkProtocol(); err != nil {
		return err
	}
	if _, err := o.targets(); err != nil {
		return err
	}
	positive := []struct {
		name string
		v    int
	}{
		{"n", o.Conns}, {"threads", o.Threads}, {"ramp", o.Ramp}, {"inflight", o.InFlight},
		{"rooms", o.Rooms}, {"publishers", o.Publishers}, {"pipeline", o.Pipeline}, {"chunks", o.Chunks},
	}
	for _, p := range positive {
		if p.v < 1 {
			return fmt.Errorf("-%s must be at least 1", p.name)
		}
	}
	if min(o.SrcAddrs, o.RoomSize, o.Window, o.Size, o.Stalled) < 0 || min(o.Rate, o.PublishRate) < 0 || o.SrcAddrs > 250 {
		return errors.New("a negative number, or -src-addrs above 250")
	}
	if err := o.readTokens(); err != nil {
		return err
	}
	return o.checkLimits()
}

func (o *Options) checkLimits() error {
	limit, err := proc.Descriptors()
	if err != nil {
		return err
	}
	if o.Conns+o.Stalled > limit-reserved {
		return fmt.Errorf("-n %d needs more descriptors than this process may open: the limit is %d, %d of them reserved; "+
			"use -n %d or raise it (ulimit -n)", o.Conns, limit, reserved, limit-reserved)
	}
	if ports := max(o.SrcAddrs, 1) * 28_000; o.Conns > ports {
		return fmt.Errorf("-n %d needs more ports than %d source addresses have: raise -src-addrs", o.Conns, max(o.SrcAddrs, 1))
	}
	if o.Threads > o.Conns {
		return fmt.Errorf("-threads %d above -n %d", o.Threads, o.Conns)
	}
	if o.Rooms*o.Publishers > o.Conns {
		return fmt.Errorf("%d rooms with %d publishers each need more than %d connections", o.Rooms, o.Publishers, o.Conns)
	}
	return nil
}

// maxTargets bounds the servers of a run.
const maxTargets = 256

func splitURLs(list string) []string { return strings.Split(list, ",") }

// targets resolves the URLs.
func (o *Options) targets() ([]engine.Target, error) {
	urls := splitURLs(o.URL)
	if len(urls) > maxTargets {
		return nil, fmt.Errorf("-url: %d targets, at most %d", len(urls), maxTargets)
	}
	all := make([]engine.Target, 0, len(urls))
	for _, raw := range urls {
		addr, u, err := o.target(strings.TrimSpace(raw))
		if err != nil {
			return nil, err
		}
		all = append(all, engine.Target{Addr: addr, Opening: o.opening(u)})
	}
	return all, nil
}

// target resolves a URL; only loopback unless remote targets are allowed.
func (o *Options) target(raw string) (netip.AddrPort, *url.URL, error) {
	var none netip.AddrPort
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "ws" || u.Hostname() == "" {
		return none, nil, fmt.Errorf("-url %q: want ws://host:port/path", raw)
	}
	port := uint64(80)
	if u.Port() != "" {
		if port, err = strconv.ParseUint(u.Port(), 10, 16); err != nil {
			return none, nil, fmt.Errorf("-url %q: bad port", raw)
		}
	}
	ip, err := net.ResolveIPAddr("ip", u.Hostname())
	if err != nil {
		return none, nil, fmt.Errorf("-url %q: %w", raw, err)
	}
	addr, _ := netip.AddrFromSlice(ip.IP)
	addr = addr.Unmap()
	if !addr.IsLoopback() && !o.AllowRemote {
		return none, nil, fmt.Errorf("-url %q is not a loopback address: a load generator aimed elsewhere needs -allow-remote", raw)
	}
	return netip.AddrPortFrom(addr, uint16(port)), u, nil
}

// sources are addresses from 127.0.0.2 on for a loopback target, after those of
// other workers.
func (o *Options) sources(target netip.Addr) []netip.Addr {
	var list []netip.Addr
	if target.Is4() && target.IsLoopback() {
		for i := range o.SrcAddrs {
			n := 2 + o.Share.Sources + i
			list = append(list, netip.AddrFrom4([4]byte{127, byte(n >> 16), byte(n >> 8), byte(n)})) //nolint:gosec // parts of a number
		}
	}
	return list
}
