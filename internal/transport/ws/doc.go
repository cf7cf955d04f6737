// Package ws carries WebSocket connections (RFC 6455) over coder/websocket.
package ws
