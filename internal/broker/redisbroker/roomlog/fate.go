package roomlog

import (
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// fate is what became of a command.
type fate uint8

const (
	// answered: the reply is there.
	answered fate = iota
	// unsent: certainly not executed, but it may be at another attempt.
	unsent
	// redirected: as unsent, and another server of the cluster would take it.
	redirected
	// unloaded: as unsent, the server does not know the script.
	unloaded
	// refused: certainly not executed, and not at once either.
	refused
	// unknown: the connection failed before the reply came.
	unknown
	// faulty: the command itself failed, for a reason that does not pass.
	faulty
)

// fates says what the first word of an error reply means.
var fates = map[string]fate{
	"NOSCRIPT": unloaded,

	"MOVED": redirected, "ASK": redirected, "TRYAGAIN": redirected,

	"CLUSTERDOWN": unsent, "READONLY": unsent, "LOADING": unsent, "MASTERDOWN": unsent, "BUSY": unsent,

	"OOM": refused, "MISCONF": refused, "NOREPLICAS": refused,
}

// fateOf reads the error of a command.
func fateOf(err error) fate {
	if err == nil {
		return answered
	}
	var reply redis.Error
	if errors.As(err, &reply) {
		return fateOfReply(reply.Error())
	}
	var network *net.OpError
	switch {
	case errors.As(err, &network) && network.Op == "dial",
		errors.Is(err, errShutDown), errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted), errors.Is(err, redis.ErrClosed):
		return unsent
	}
	return unknown
}

// isReply tells whether an error was the server's answer.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

func fateOfReply(reply string) fate {
	if strings.HasPrefix(reply, "ERR max number of clients") {
		return unsent
	}
	word, _, _ := strings.Cut(reply, " ")
	if f, ok := fates[word]; ok {
		return f
	}
	return faulty
}

// repeats tells whether a command may be sent again at once: not at all, when
// it certainly was not executed, or also when that is unknown, because it is
// recognised then.
type repeats uint8

const (
	whenUnsent repeats = iota
	whenUnknown
)

// again tells whether a command with this fate is worth another attempt.
func (r repeats) again(f fate) bool {
	return f == unsent || f == redirected || f == unloaded || f == unknown && r == whenUnknown
}
