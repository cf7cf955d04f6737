// Package authfx provides the authenticator.
package authfx

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/auth"
)

// Module provides the auth.Verifier of development identities.
var Module = fx.Module("auth", fx.Provide(func(log *zap.Logger) auth.Verifier {
	log.Info("authenticator", zap.String("kind", auth.ModeDevelopment))
	return auth.Development{}
}))
