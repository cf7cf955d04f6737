package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"go.uber.org/dig"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/config"
	"github.com/moonx-farm/ws-gateway/internal/logging"
	"github.com/moonx-farm/ws-gateway/internal/reload"
	"github.com/moonx-farm/ws-gateway/modules"
)

// serve runs the gateway until a signal or a fault ends it.
func serve(cfg config.Config) int {
	log, err := logging.New(cfg.Log, os.Stderr)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = log.Sync() }() // a terminal cannot be synced
	cfg.Tuning.Apply()
	signals, reloads := listen(logging.Terminal(os.Stderr))
	app := fx.New(modules.App(cfg, log, reload.Signals(reloads)))
	if err := start(app); err != nil {
		return failed(dig.RootCause(err))
	}
	s, code := end(signals, app.Wait())
	if s != nil {
		log.Info("stopping", zap.Stringer("signal", s), zap.Duration("within", cfg.StopTime()))
	}
	if !stop(app, signals, log) {
		code = exitFailed
	}
	return code
}

// listen takes the process's signals. SIGHUP reloads, but where it means that
// the person at the terminal has left, it ends the process like the others.
func listen(terminal bool) (signals, reloads chan os.Signal) {
	signals, reloads = make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	hangup := reloads
	if terminal {
		hangup = signals
	}
	signal.Notify(hangup, syscall.SIGHUP)
	return signals, reloads
}

// end waits for a signal, or for the exit code of an application that ends by
// itself. fx hears signals too and tells of them without a code: the very
// signal is then still to come from our own channel, and must not be taken for
// a second one.
func end(signals <-chan os.Signal, ended <-chan fx.ShutdownSignal) (os.Signal, int) {
	select {
	case s := <-signals:
		return s, exitOK
	case s := <-ended:
		if s.ExitCode != exitOK {
			return nil, s.ExitCode
		}
		return <-signals, exitOK
	}
}

func start(app *fx.App) error {
	if err := app.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), app.StartTimeout())
	defer cancel()
	return app.Start(ctx)
}

// stop drains and ends everything; a second signal does not wait for that.
func stop(app *fx.App, signals <-chan os.Signal, log *zap.Logger) bool {
	ctx, cancel := context.WithTimeout(context.Background(), app.StopTimeout())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- app.Stop(ctx) }() // waited for, unless the process ends at once
	select {
	case err := <-done:
		if err != nil {
			log.Error("stopped with faults", zap.Error(err))
			return false
		}
		log.Info("stopped")
		return true
	case s := <-signals:
		log.Warn("ending at once", zap.Stringer("signal", s))
		return false
	}
}

// indent puts every fault on a line of its own.
func indent(err error) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "\n  ") + "\n"
}
