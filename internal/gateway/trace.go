package gateway

import (
	"net/http"

	"github.com/moonx-farm/ws-gateway/internal/session"
	"github.com/moonx-farm/ws-gateway/internal/tracing"
	"github.com/moonx-farm/ws-gateway/internal/transport"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// traceOpened tells the span of an upgrade that it was carried out, for which
// connection, and why that ends at once if it does.
func traceOpened(r *http.Request, h transport.Handler, fault *wire.Error) {
	span := tracing.Current(r.Context())
	span.Status(http.StatusSwitchingProtocols)
	if s, ok := h.(*session.Session); ok {
		span.Connection(s.ID())
	}
	if fault != nil {
		span.Fail(fault)
	}
}
