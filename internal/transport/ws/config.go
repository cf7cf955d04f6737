package ws

import "time"

// Config holds the settings of the WebSocket transport.
type Config struct {
	// Mode is auto (parked where it can be), parked or goroutine.
	Mode string `env:"TRANSPORT" envDefault:"auto"`
	// MaxMessageBytes bounds one inbound message after decompression; beyond
	// it the connection closes with 1009.
	MaxMessageBytes int `env:"MAX_MESSAGE_BYTES" envDefault:"65536"`
	// SendQueueBytes bounds what is queued for one connection; beyond it the
	// slow policies of rooms decide, and where none allows to leave something
	// out, the connection closes with 4008.
	SendQueueBytes int `env:"SEND_QUEUE_BYTES" envDefault:"1048576"`
	// SendBudgetBytes bounds what is queued for all peers together that do not
	// read fast enough; beyond it the largest queue is cut first. A frame that
	// is shared counts for each receiver. 0: an eighth of the memory.
	SendBudgetBytes int64 `env:"SEND_BUDGET_BYTES" envDefault:"0"`
	// HeartbeatInterval is the silence after which a ping is sent, jittered by
	// a tenth. Traffic from the peer counts as life.
	HeartbeatInterval time.Duration `env:"HEARTBEAT_INTERVAL" envDefault:"25s"`
	// HeartbeatTimeout is how long the answer to a ping may take.
	HeartbeatTimeout time.Duration `env:"HEARTBEAT_TIMEOUT" envDefault:"20s"`
	// MessageTimeout bounds the time a partly received message may take.
	MessageTimeout time.Duration `env:"MESSAGE_TIMEOUT" envDefault:"15s"`
	// WriteTimeout bounds the time a peer may refuse all data while some is
	// queued.
	WriteTimeout time.Duration `env:"WRITE_TIMEOUT" envDefault:"30s"`
	// CloseTimeout bounds a polite close: flushing the queue, the close
	// frame, and waiting for the peer's.
	CloseTimeout time.Duration `env:"CLOSE_TIMEOUT" envDefault:"5s"`
	// Compression offers permessage-deflate without context takeover (RFC 7692).
	Compression bool `env:"COMPRESSION" envDefault:"false"`
}
