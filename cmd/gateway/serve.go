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
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/modules"
)

// serve runs the gateway until a signal or a fault ends it.
func serve(cfg config.Config) int {
	log, err := logging.New(cfg.Log, os.Stderr)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = log.Sync() }() // a terminal cannot be synced
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	reloads := make(chan os.Signal, 1)
	signal.Notify(reloads, syscall.SIGHUP)

	app := fx.New(modules.App(cfg, log, policy.Reloads(reloads)))
	code := exitOK
	if err := start(app); err != nil {
		return failed(dig.RootCause(err))
	}
	ended := app.Wait()
	select {
	case s := <-signals:
		log.Info("stopping", zap.Stringer("signal", s), zap.Duration("within", cfg.StopTime()))
	case s := <-ended:
		code = s.ExitCode
	}
	if !stop(app, signals, log) {
		code = exitFailed
	}
	return code
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
