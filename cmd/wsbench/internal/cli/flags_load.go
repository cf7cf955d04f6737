//go:build linux

package cli

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/bench"
)

func publishFlags(fs *flag.FlagSet, o *bench.Options) {
	measureFlags(fs, o)
	fs.Float64Var(&o.Rate, "rate", 0, "publications per second, all together, at intended times; 0: as fast as back-pressure allows")
	fs.IntVar(&o.Subscribers, "subscribers", 1, "subscribers of each publisher: of -n connections, one in that many and one publishes")
	fs.IntVar(&o.Pipeline, "pipeline", 64, "publications under way per publisher; with -rate: published by one before it is the next one's turn")
	fs.StringVar(&o.Acks, "acks", bench.Both, "acked: each publication has an id and is answered; unacked; both: one after the other")
	fs.BoolVar(&o.Outside, "outside", false, "publishers do not join their rooms, which the policy must allow; else they are members that get no copy")
	fs.DurationVar(&o.StallAfter, "stall", 5*time.Second, "give up when nothing was received for")
}

func publishCheck(o *bench.Options) error {
	switch o.Acks {
	case bench.Acked, bench.Unacked, bench.Both:
	default:
		return fmt.Errorf("-acks %q: acked, unacked or both", o.Acks)
	}
	if o.Subscribers < 1 || o.Conns < (1+o.Subscribers)*o.Threads {
		return errors.New("-subscribers must be at least 1, and -n at least a publisher and its subscribers for each of -threads")
	}
	return nil
}

// loadPreset is what the defaults of the mixed loads differ in.
type loadPreset struct {
	moving      int
	rate        float64 // publications
	churn, hops float64
	duration    time.Duration
}

func mixedFlags(fs *flag.FlagSet, o *bench.Options) {
	loadFlags(fs, o, loadPreset{rate: 500, duration: 30 * time.Second})
}

func churnFlags(fs *flag.FlagSet, o *bench.Options) {
	loadFlags(fs, o, loadPreset{moving: 500, rate: 200, churn: 200, hops: 200, duration: 30 * time.Second})
}

func soakFlags(fs *flag.FlagSet, o *bench.Options) {
	loadFlags(fs, o, loadPreset{moving: 300, rate: 200, churn: 20, hops: 20, duration: time.Hour})
}

// loadFlags are the flags of a mixed load with their defaults.
func loadFlags(fs *flag.FlagSet, o *bench.Options, d loadPreset) {
	fs.IntVar(&o.Size, "size", 100, "bytes of data in each message")
	fs.DurationVar(&o.Duration, "duration", d.duration, "measure for")
	fs.DurationVar(&o.Warmup, "warmup", 2*time.Second, "run before measuring for")
	fs.IntVar(&o.Rooms, "rooms", 100, "rooms; the first member of each publishes into it")
	fs.IntVar(&o.Memberships, "memberships", 3, "rooms of each connection: one and those that follow, so that rooms share members")
	fs.Float64Var(&o.Rate, "rate", d.rate, "publications per second, all rooms together, at intended times; 0: as fast as back-pressure allows")
	fs.IntVar(&o.Window, "window", 64, "publications under way per room without -rate")
	fs.IntVar(&o.Moving, "moving", d.moving, "connections that come and go")
	fs.Float64Var(&o.ChurnRate, "churn-rate", d.churn, "connections per second that end and come back")
	fs.Float64Var(&o.HopRate, "hop-rate", d.hops, "rooms per second that a member leaves and joins again")
	fs.DurationVar(&o.StallAfter, "stall", 5*time.Second, "give up when nothing was received for")
}

func mixedCheck(o *bench.Options) error {
	switch {
	case o.Memberships < 1 || o.Memberships > 100 || o.Memberships > o.Rooms:
		return errors.New("-memberships must be 1 to 100, and at most -rooms")
	case o.Moving < 0 || o.Rooms+o.Moving > o.Conns:
		return errors.New("-rooms and -moving together must be at most -n: the publishers stay")
	case min(o.ChurnRate, o.HopRate) < 0 || o.ChurnRate > 0 && o.Moving == 0:
		return errors.New("a negative rate, or a -churn-rate without -moving")
	}
	return windowCheck(o)
}

func windowCheck(o *bench.Options) error {
	switch {
	case o.Rate == 0 && o.ChurnRate+o.HopRate > 0:
		return errors.New("-churn-rate and -hop-rate want a -rate")
	case o.Rate == 0 && o.Window < 1:
		return errors.New("-window must be at least 1")
	}
	return nil
}

// overlapCheck is mixedCheck for rooms of fanout that share members.
func overlapCheck(o *bench.Options) error {
	if o.Memberships == 1 {
		return nil
	}
	if o.Publishers > 1 || o.Stalled > 0 || o.Baseline != "" {
		return errors.New("-memberships wants one publisher per room, and neither -stalled nor -baseline")
	}
	if o.Window == 0 {
		o.Window = 64
	}
	return mixedCheck(o)
}
