// Package serverfx runs the HTTP servers, everything of the runners group, and
// the drain before they end. It has the application's one fx.Invoke.
package serverfx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/logging"
	"github.com/moonx-farm/ws-gateway/internal/server"
)

// stopTime bounds the wait for plain requests under way.
const stopTime = 3 * time.Second

// Module provides *server.Servers and starts them.
var Module = fx.Module("server", fx.Provide(
	server.NewKeys, server.NewCertificate, server.NewSockets, serve,
	fx.Annotate((*server.Keys).Source, fx.ResultTags(`group:"reloads"`)),
	fx.Annotate((*server.Certificate).Source, fx.ResultTags(`group:"reloads"`)),
), fx.Invoke(run))

type parts struct {
	fx.In

	Config      server.Config
	Routes      []server.Route `group:"routes"`
	Keys        *server.Keys
	Certificate *server.Certificate
	Listen      server.Listen
	Sockets     *server.Sockets
	Log         *zap.Logger
	Shutdowner  fx.Shutdowner
}

func serve(p parts) *server.Servers {
	failed := func(err error) {
		p.Log.Error("a server ended", zap.Error(err))
		if err := p.Shutdowner.Shutdown(fx.ExitCode(1)); err != nil {
			p.Log.Error("shut down", zap.Error(err))
		}
	}
	s := server.New(p.Config, p.Routes, p.Keys, p.Certificate, p.Listen, failed, p.Log)
	s.UseSockets(p.Sockets)
	return s
}

type life struct {
	fx.In

	Lifecycle fx.Lifecycle
	Servers   *server.Servers
	Gateway   *gateway.Gateway
	Drain     gateway.Config
	Routes    []server.Route          `group:"routes"`
	Runners   []func(context.Context) `group:"runners"`
	Notes     server.Notes
	Keys      *server.Keys
	Log       logging.Config
}

// run appends one hook: what is served stops before what serves it, so the
// drain, which keeps answering health and refusing upgrades, comes first.
func run(l life) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	l.Lifecycle.Append(fx.Hook{
		OnStart: func(start context.Context) error {
			if err := l.Servers.Start(start); err != nil {
				cancel()
				return err
			}
			for _, r := range l.Runners {
				running.Go(func() { r(ctx) })
			}
			l.Servers.Announce(l.Routes, l.Notes)
			showKey(l.Keys, l.Log)
			return nil
		},
		OnStop: func(stop context.Context) error {
			drain, done := context.WithTimeout(stop, l.Drain.DrainTime())
			defer done()
			err := l.Gateway.Drain(drain)
			if err != nil {
				err = fmt.Errorf("drain connections: %w", err)
			}
			cancel()
			running.Wait()
			last, done := context.WithTimeout(stop, stopTime)
			defer done()
			return errors.Join(err, l.Servers.Shutdown(last))
		},
	})
}

// showKey tells a person at a terminal the key that was made up, and nobody
// else.
func showKey(keys *server.Keys, log logging.Config) {
	if key := keys.Generated(); key != "" && log.ForPerson(os.Stderr) {
		_, _ = fmt.Fprintf(os.Stderr, "admin key of this run: %s\n", key)
	}
}
