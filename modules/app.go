package modules

import (
	"net"

	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/moonx-farm/ws-gateway/config"
	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/bridge"
	"github.com/moonx-farm/ws-gateway/internal/bridge/emitter"
	"github.com/moonx-farm/ws-gateway/internal/bridge/streams"
	"github.com/moonx-farm/ws-gateway/internal/broker"
	"github.com/moonx-farm/ws-gateway/internal/broker/membroker"
	"github.com/moonx-farm/ws-gateway/internal/broker/redisbroker"
	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/console"
	"github.com/moonx-farm/ws-gateway/internal/gateway"
	"github.com/moonx-farm/ws-gateway/internal/httpapi"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/metrics"
	"github.com/moonx-farm/ws-gateway/internal/monitor"
	"github.com/moonx-farm/ws-gateway/internal/peer"
	"github.com/moonx-farm/ws-gateway/internal/policy"
	"github.com/moonx-farm/ws-gateway/internal/reload"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/server"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/modules/asyncapifx"
	"github.com/moonx-farm/ws-gateway/modules/authfx"
	"github.com/moonx-farm/ws-gateway/modules/bridgefx"
	"github.com/moonx-farm/ws-gateway/modules/brokerfx"
	"github.com/moonx-farm/ws-gateway/modules/clientfx"
	"github.com/moonx-farm/ws-gateway/modules/clusterfx"
	"github.com/moonx-farm/ws-gateway/modules/consolefx"
	"github.com/moonx-farm/ws-gateway/modules/emitterfx"
	"github.com/moonx-farm/ws-gateway/modules/fleetfx"
	"github.com/moonx-farm/ws-gateway/modules/gatewayfx"
	"github.com/moonx-farm/ws-gateway/modules/healthfx"
	"github.com/moonx-farm/ws-gateway/modules/httpapifx"
	"github.com/moonx-farm/ws-gateway/modules/hubfx"
	"github.com/moonx-farm/ws-gateway/modules/metricsfx"
	"github.com/moonx-farm/ws-gateway/modules/monitorfx"
	"github.com/moonx-farm/ws-gateway/modules/peerfx"
	"github.com/moonx-farm/ws-gateway/modules/policyfx"
	"github.com/moonx-farm/ws-gateway/modules/pollingfx"
	"github.com/moonx-farm/ws-gateway/modules/presencefx"
	"github.com/moonx-farm/ws-gateway/modules/redisbrokerfx"
	"github.com/moonx-farm/ws-gateway/modules/redisfx"
	"github.com/moonx-farm/ws-gateway/modules/reloadfx"
	"github.com/moonx-farm/ws-gateway/modules/routerfx"
	"github.com/moonx-farm/ws-gateway/modules/serverfx"
	"github.com/moonx-farm/ws-gateway/modules/socketiofx"
	"github.com/moonx-farm/ws-gateway/modules/statisticsfx"
	"github.com/moonx-farm/ws-gateway/modules/streamsfx"
	"github.com/moonx-farm/ws-gateway/modules/tracingfx"
	"github.com/moonx-farm/ws-gateway/modules/transportfx"
	"github.com/moonx-farm/ws-gateway/modules/wheelfx"
)

// App is the whole gateway. cfg comes from config.Load; reloads are wishes to
// read policy, keys and certificates again and may be nil.
func App(cfg config.Config, log *zap.Logger, reloads reload.Signals) fx.Option {
	return fx.Options(
		fx.StopTimeout(cfg.StopTime()),
		fx.WithLogger(func(log *zap.Logger) fxevent.Logger {
			l := &fxevent.ZapLogger{Logger: log}
			l.UseLogLevel(zapcore.DebugLevel)
			l.UseErrorLevel(zapcore.DebugLevel) // the error itself is returned and said once
			return l
		}),
		fx.Supply(log, reloads),
		settings(cfg),
		store(cfg),
		fx.Provide(
			func() server.Listen { return server.ListenTCP },
			func() bridge.Dial { return (&net.Dialer{}).DialContext },
		),
		tracingfx.Module, wheelfx.Module, policyfx.Module, authfx.Module, bridgefx.Module, transportfx.Module, pollingfx.Module, hubfx.Module,
		routerfx.Module, gatewayfx.Module, socketiofx.Module, clusterfx.Module, statisticsfx.Module, fleetfx.Module, httpapifx.Module, healthfx.Module, metricsfx.Module,
		monitorfx.Module, reloadfx.Module, clientfx.Module, asyncapifx.Module, serverfx.Module,
		fx.Decorate(func(m *monitor.Monitor, t *tracing.Tracer, v auth.Verifier) auth.Verifier {
			return m.Verifier(auth.Traced(v, t))
		}),
		page(cfg),
	)
}

// store chooses where rooms live: in this process, or in a Redis that several
// instances share.
func store(cfg config.Config) fx.Option {
	if !cfg.Redis.Enabled() {
		return fx.Options(brokerfx.Module, fx.Provide(
			func(b *membroker.Broker) broker.Broker { return b },
			func(b *membroker.Broker) gateway.Quiescer { return b },
		))
	}
	return fx.Options(
		fx.Supply(cfg.Redis, cfg.Logs, commands(cfg), emitters(cfg), cfg.Peer),
		redisfx.Module, redisbrokerfx.Module, presencefx.Module, fleetfx.Shared, streamsfx.Module, emitterfx.Module, peerfx.Module,
		fx.Decorate(func(e gateway.Engine, f *peer.Forwarder) gateway.Engine { return f.Over(e) }),
		fx.Provide(
			func(b *redisbroker.Broker) broker.Broker { return b },
			func(b *redisbroker.Broker) gateway.Quiescer { return b },
			func(b *redisbroker.Broker) cluster.Carrier { return b },
			fx.Annotate(func(b *cluster.Bus) broker.Noticed { return b }, fx.ResultTags(`name:"control"`)),
		),
	)
}

// page adds the console where it is wanted.
func page(cfg config.Config) fx.Option {
	if cfg.Console.Serve(cfg.Auth.Development()) {
		return consolefx.Module
	}
	return fx.Options()
}

// settings hands every module its own settings.
func settings(cfg config.Config) fx.Option {
	return fx.Supply(
		cfg.Log, cfg.Server, cfg.Gateway, cfg.Limit, cfg.Auth, cfg.Policy, cfg.Transport, cfg.Engine, cfg.SocketIO, cfg.Broker, backends(cfg), api(cfg), effective(cfg), instances(cfg),
		policy.Level(cfg.Gateway.SecurityLevel),
		cfg.Tracing, tracing.Process{Instance: cfg.Process.InstanceID, Version: cfg.Version},
		server.Notes{Lines: cfg.Notes(), Warn: cfg.Production()},
		metrics.Version(cfg.Version),
		hub.Config{MaxRooms: cfg.Session.MaxRooms, MaxNamedRooms: cfg.Limit.MaxRooms, CatchUpBytes: cfg.Transport.SendQueueBytes / 2},
		router.Config{
			Instance: cfg.Process.InstanceID, Version: cfg.Version,
			Heartbeat: cfg.Transport.HeartbeatInterval, AuthDeadline: cfg.Gateway.AuthDeadline,
			HistoryBytes: cfg.Transport.SendQueueBytes / 2, Life: cfg.Life,
		},
		console.Config{PublicPort: cfg.Server.Port, TLS: cfg.Server.TLS(), Development: cfg.Auth.Development(), Version: cfg.Version},
	)
}

// api is what the server API is made with.
func api(cfg config.Config) httpapi.Config {
	cfg.API.MaxData = cfg.Transport.SendQueueBytes / 2
	return cfg.API
}

// effective is what the server API tells of the settings.
func effective(cfg config.Config) httpapi.Effective {
	return httpapi.Effective{Instance: cfg.Process.InstanceID, Version: cfg.Version, Settings: cfg.Effective(), Notes: cfg.Notes()}
}

// instances is what this instance tells the others of itself.
func instances(cfg config.Config) cluster.Config {
	cfg.Cluster.ID, cfg.Cluster.Version, cfg.Cluster.Address = cfg.Process.InstanceID, cfg.Version, cfg.Server.PublicAddr()
	return cfg.Cluster
}

// commands is what the command stream is read with.
func commands(cfg config.Config) streams.Config {
	cfg.Commands.Instance, cfg.Commands.MaxData = cfg.Process.InstanceID, cfg.Transport.SendQueueBytes/2
	return cfg.Commands
}

// emitters is what messages of redis-emitter are read with.
func emitters(cfg config.Config) emitter.Config {
	cfg.Emitter.Namespaces = append([]string{"/"}, cfg.SocketIO.Namespaces...)
	cfg.Emitter.MaxData = cfg.Transport.SendQueueBytes / 2
	return cfg.Emitter
}

// backends is what calls of backends are made with.
func backends(cfg config.Config) bridge.Config {
	cfg.Bridge.Instance, cfg.Bridge.Version = cfg.Process.InstanceID, cfg.Version
	return cfg.Bridge
}
