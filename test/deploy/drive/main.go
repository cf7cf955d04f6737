// Drive runs the traffic of test/deploy/traffic for scripts that change a
// deployment meanwhile:
//
//	drive -address http://127.0.0.1:3007 -sockets 200 -pollers 20
//
// It writes "ready" once all clients are in their rooms, and then does what
// standard input says, a word a line, answering each with a line:
//
//	wait       until all clients are connected: "ok"
//	off NAME   until none is on this instance, and all are connected: "ok"
//	spread     how many are on each instance: JSON
//	stop       as the end of the input does
//
// At the end it tells how it went, and exits with 1 if an acknowledged message
// is missing somewhere, or anything else is wrong.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/moonx-farm/ws-gateway/test/deploy/traffic"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "drive:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var cfg traffic.Config
	flags := flag.NewFlagSet("drive", flag.ContinueOnError)
	flags.StringVar(&cfg.Address, "address", "http://127.0.0.1:3007", "where clients connect")
	flags.Func("backend", "admin port as a `URL` to publish by, repeatable; without it clients publish (the key is DRIVE_KEY)", func(s string) error {
		cfg.Backends = append(cfg.Backends, s)
		return nil
	})
	flags.IntVar(&cfg.Sockets, "sockets", 100, "clients with a WebSocket")
	flags.IntVar(&cfg.Pollers, "pollers", 10, "Socket.IO clients that poll")
	flags.BoolVar(&cfg.NoCookies, "no-cookies", false, "those that poll keep no cookies")
	flags.IntVar(&cfg.Rooms, "rooms", 4, "rooms they are spread over")
	flags.Float64Var(&cfg.Rate, "rate", 2, "messages a second in each room")
	flags.DurationVar(&cfg.Silence, "silence", 20*time.Second, "without a message for so long a client connects anew")
	patience := flags.Duration("patience", 2*time.Minute, "bound of every wait")
	duration := flags.Duration("duration", 0, "stop after so long; 0: when standard input ends")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg.Key = os.Getenv("DRIVE_KEY")
	return drive(ctx, cfg, *patience, *duration)
}

func drive(ctx context.Context, cfg traffic.Config, patience, duration time.Duration) error {
	starting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t, err := traffic.Start(starting, cfg)
	if err != nil {
		return fmt.Errorf("connect all clients: %w", err)
	}
	fmt.Println("ready")
	if duration > 0 {
		timed, done := context.WithTimeout(ctx, duration)
		<-timed.Done()
		done()
	} else {
		err = obey(ctx, t, patience)
	}
	stopping, done := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer done()
	report, wrong := t.Stop(stopping)
	fmt.Println(report)
	if err == nil {
		err = wrong
	}
	return err
}

// obey does what standard input says, until it ends or says stop.
func obey(ctx context.Context, t *traffic.Traffic, patience time.Duration) error {
	words := make(chan string)
	go func() { // ends with the input, or with the process
		defer close(words)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			words <- in.Text()
		}
	}()
	for {
		select {
		case line, more := <-words:
			if !more || line == "stop" {
				return nil
			}
			if err := do(ctx, t, line, patience); err != nil {
				return fmt.Errorf("%s: %w", line, err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func do(ctx context.Context, t *traffic.Traffic, line string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	word, name, _ := strings.Cut(line, " ")
	var err error
	switch word {
	case "spread":
		return json.NewEncoder(os.Stdout).Encode(t.Instances())
	case "wait":
		err = t.WaitAll(ctx)
	case "off":
		err = t.WaitOff(ctx, name)
	default:
		return errors.New("there is no such word")
	}
	if err == nil {
		fmt.Println("ok")
	}
	return err
}
