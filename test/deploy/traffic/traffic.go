package traffic

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what traffic there is, and where. Zero values take the defaults.
type Config struct {
	// Address is where clients connect: http://host:port, or https.
	Address string
	// Backends are admin ports, as URLs, that publishes go to by turns, with
	// Key. Without any, publishers are WebSocket clients at Address.
	Backends []string
	Key      string
	// Sockets and Pollers are how many clients hold a WebSocket, and how many
	// are Socket.IO sessions that poll.
	Sockets, Pollers int
	// NoCookies makes pollers forget what cookies they are given, as clients
	// outside of browsers do.
	NoCookies bool
	// Rooms is how many rooms they are spread over. 4 by default.
	Rooms int
	// Rate is how many messages a second are published in each room. 2 by
	// default; what a client misses while it is away must fit the room's
	// history.
	Rate float64
	// Prefix begins the names of rooms and users: runs that share a gateway
	// want different ones. Random by default.
	Prefix string
	// Token gives the credential of a user. The name itself by default, as the
	// gateway's development mode takes it.
	Token func(user string) string
	// Dials is how many clients connect at a time. 64 by default.
	Dials int
	// Silence is after how long without a message a client connects anew. 20 s
	// by default; it must be above the pause between two messages.
	Silence time.Duration
}

func (c Config) withDefaults() (Config, error) {
	c.Rooms = cmp.Or(c.Rooms, 4)
	c.Rate = cmp.Or(c.Rate, 2)
	c.Prefix = cmp.Or(c.Prefix, fmt.Sprintf("traffic-%08x", rand.Uint32()))
	c.Dials = cmp.Or(c.Dials, 64)
	c.Silence = cmp.Or(c.Silence, 20*time.Second)
	if c.Token == nil {
		c.Token = func(user string) string { return user }
	}
	for _, address := range append([]string{c.Address}, c.Backends...) {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return c, fmt.Errorf("address %q: want http://host:port", address)
		}
	}
	if c.Sockets+c.Pollers < 1 || c.Rooms < 1 || c.Rate < 0 {
		return c, errors.New("want at least one client, one room, and no negative rate")
	}
	return c, nil
}

// Traffic is under way between Start and Stop. Safe for concurrent use.
type Traffic struct {
	// Immutable after Start.
	cfg     Config
	rooms   []*room
	clients []*client
	http    *http.Client  // of publishers by API
	dials   chan struct{} // holds a token for each dial under way

	publishing, reading     sync.WaitGroup
	endPublishing, endReads context.CancelFunc

	delivered, again, reconnects atomic.Int64
	acknowledged, repeated       atomic.Int64

	mu          sync.Mutex
	faults      []string      // guarded by mu; the first maxFaults
	faultCount  int           // guarded by mu
	longestAway time.Duration // guarded by mu
	awayFor     string        // guarded by mu; who that was, and what they met last
}

const maxFaults = 40

// Start connects all clients, waits until each is in its room, and begins to
// publish. Stop must follow, also after an error of a later call. ctx bounds
// the start alone.
func Start(ctx context.Context, cfg Config) (*Traffic, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &Traffic{cfg: cfg, dials: make(chan struct{}, cfg.Dials), http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	for n := range cfg.Rooms {
		t.rooms = append(t.rooms, &room{name: fmt.Sprintf("%s:%d", cfg.Prefix, n), keys: map[uint64]string{}})
	}
	reads, endReads := context.WithCancel(context.Background())
	publishes, endPublishing := context.WithCancel(context.Background())
	t.endReads, t.endPublishing = endReads, endPublishing
	for n := range cfg.Sockets + cfg.Pollers {
		c := &client{t: t, user: fmt.Sprintf("%s-%d", cfg.Prefix, n), room: t.rooms[n%cfg.Rooms], polls: n >= cfg.Sockets}
		t.clients = append(t.clients, c)
		t.reading.Go(func() { c.live(reads) })
	}
	if err := t.WaitAll(ctx); err != nil {
		_, _ = t.Stop(ctx)
		return nil, err
	}
	for _, r := range t.rooms {
		p := newPublisher(t, r)
		t.publishing.Go(func() { p.live(publishes, reads) })
	}
	return t, nil
}

// WaitAll waits until every client is connected and in its room.
func (t *Traffic) WaitAll(ctx context.Context) error {
	return t.wait(ctx, func() error {
		if n := t.Away(); n > 0 {
			return fmt.Errorf("%d of %d clients are not connected%s", n, len(t.clients), t.why())
		}
		return nil
	})
}

// WaitOff waits until no client is on an instance and all are connected.
func (t *Traffic) WaitOff(ctx context.Context, instance string) error {
	return t.wait(ctx, func() error {
		if n := t.Instances()[instance]; n > 0 {
			return fmt.Errorf("%d clients are on %s", n, instance)
		}
		if n := t.Away(); n > 0 {
			return fmt.Errorf("%d of %d clients are not connected%s", n, len(t.clients), t.why())
		}
		return nil
	})
}

// why is what one of those who are away met last.
func (t *Traffic) why() string {
	for _, c := range t.clients {
		if err := c.trouble(); err != nil {
			return fmt.Sprintf("; %s: %v", c.user, err)
		}
	}
	return ""
}

// wait waits until holds returns nil; at the end of ctx its error counts.
func (t *Traffic) wait(ctx context.Context, holds func() error) error {
	for {
		err := holds()
		if err == nil {
			return nil
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return err
		}
	}
}

// Away is how many clients are not connected, or not in their room yet.
func (t *Traffic) Away() int {
	n := 0
	for _, c := range t.clients {
		if c.at() == "" {
			n++
		}
	}
	return n
}

// Instances counts the clients on each instance, as the gateway names it.
func (t *Traffic) Instances() map[string]int {
	on := map[string]int{}
	for _, c := range t.clients {
		if at := c.at(); at != "" {
			on[at]++
		}
	}
	return on
}

// Published is how many messages were acknowledged so far.
func (t *Traffic) Published() int64 { return t.acknowledged.Load() }

// Stop ends the publishers, waits until every client has everything that was
// acknowledged, ends the clients, and tells how it went. The error says what
// was wrong; the report has it all. ctx bounds the wait.
func (t *Traffic) Stop(ctx context.Context) (Report, error) {
	t.endPublishing()
	t.publishing.Wait()
	late := t.wait(ctx, t.lacking)
	t.endReads()
	t.reading.Wait()
	t.http.CloseIdleConnections()
	if late != nil {
		t.fault("%v", late)
	}
	for _, r := range t.rooms {
		for _, text := range r.missing() {
			t.fault("%s", text)
		}
	}
	rep := t.report()
	return rep, rep.err()
}

// lacking tells who has not got everything.
func (t *Traffic) lacking() error {
	behind, example := 0, ""
	for _, c := range t.clients {
		if at, top := c.offset(), c.room.top(); at < top {
			behind++
			example = fmt.Sprintf("%s has %s up to %d of %d", c.user, c.room.name, at, top)
			if err := c.trouble(); err != nil {
				example += fmt.Sprintf(" (%v)", err)
			}
		}
	}
	if behind > 0 {
		return fmt.Errorf("%d clients lack what was acknowledged: %s", behind, example)
	}
	return nil
}

// pause waits; it returns an error when ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
