package tracing

import "go.opentelemetry.io/otel/sdk"

// The names of attributes: those of the semantic conventions 1.43, and the
// gateway's own. Written out, since the library's package of them is as large as
// the rest of it.
const (
	keyServiceName     = "service.name"
	keyServiceVersion  = "service.version"
	keyServiceInstance = "service.instance.id"
	keySDKName         = "telemetry.sdk.name"
	keySDKLanguage     = "telemetry.sdk.language"
	keySDKVersion      = "telemetry.sdk.version"

	keyMethod        = "http.request.method"
	keyRoute         = "http.route"
	keyStatus        = "http.response.status_code"
	keyURL           = "url.full"
	keyScheme        = "url.scheme"
	keyServerAddress = "server.address"
	keyServerPort    = "server.port"
	keyProtocol      = "network.protocol.name"
	keyError         = "error.type"

	keySystem      = "messaging.system"
	keyOperation   = "messaging.operation.name"
	keyKind        = "messaging.operation.type"
	keyDestination = "messaging.destination.name"
	keyTemplate    = "messaging.destination.template"
	keyBodySize    = "messaging.message.body.size"
	keyMessage     = "messaging.message.id"

	keyConnection = "ws_gateway.connection.id"
	keyRefusal    = "ws_gateway.refusal"
	keyEvent      = "ws_gateway.event.template"
	keyCommand    = "ws_gateway.command"
)

// Values of attributes.
const (
	systemGateway = "ws_gateway"
	systemRedis   = "redis"
)

func sdkVersion() string { return sdk.Version() }
