//go:build !linux

package ws

import (
	"errors"
	"net"
)

// canPark tells whether connections can be parked on this system.
const canPark = false

var errNoParking = errors.New("parked connections need Linux")

// poller does not exist on this system.
type poller struct{}

func newPoller(*table, int) (*poller, error) { return nil, errNoParking }

func (*poller) start()        {}
func (*poller) stop()         {}
func (*poller) worker([]byte) {}

// fdSocket does not exist on this system.
type fdSocket struct{ netSocket }

func (*poller) detach(net.Conn) (fdSocket, bool) { return fdSocket{}, false }
