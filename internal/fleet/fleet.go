package fleet

import (
	"context"
	"sync"

	"go.uber.org/zap"

	"github.com/moonx-farm/ws-gateway/internal/cluster"
	"github.com/moonx-farm/ws-gateway/internal/fault"
	"github.com/moonx-farm/ws-gateway/internal/hub"
	"github.com/moonx-farm/ws-gateway/internal/router"
)

// Parts are what a Fleet works with. It owns none of them.
type Parts struct {
	Instance   string // this instance's name
	Router     *router.Router
	Hub        *hub.Hub
	View       View
	Drainer    Drainer
	Rebalancer Rebalancer
	// Statistics reads what this instance has counted, but for its name; nil
	// counts nothing. It is cheap and safe for concurrent use.
	Statistics func() Statistics
	// Bus, Directory and Ledger are nil where there are no other instances.
	Bus       Bus
	Directory Directory
	Ledger    Ledger
	Log       *zap.Logger
}

// Fleet acts on all instances as if they were one. Make it with New. Safe for
// concurrent use.
type Fleet struct {
	// Immutable after New.
	parts  Parts
	faults *fault.Reporter
	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc

	gatherings gatherings

	mu      sync.Mutex
	closing bool           // guarded by mu
	running sync.WaitGroup // of goroutines; Go under mu
}

// New makes a fleet. Other instances may ask this one from now on, until
// Shutdown.
func New(parts Parts) *Fleet {
	f := &Fleet{parts: parts, faults: fault.NewReporter(parts.Log), gatherings: gatherings{all: map[uint64]*gathering{}}}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	if parts.Bus != nil {
		serve(f, kindSend, f.send)
		serve(f, kindSubscribe, f.subscribe)
		serve(f, kindUnsubscribe, f.unsubscribe)
		serve(f, kindDisconnect, f.disconnect)
		serve(f, kindRevoke, f.revoke)
		serve(f, kindConnection, f.connection)
		serve(f, kindConnections, f.connections)
		serve(f, kindMembers, f.members)
		serve(f, kindSeats, f.seats)
		serve(f, kindRebalance, f.rebalance)
		serve(f, kindDrain, f.drain)
		serve(f, kindStatistics, f.statistics)
		serve(f, kindAsk, f.asked)
		serve(f, kindAnswer, f.answered)
	}
	return f
}

// Shutdown ends what this instance's clients are asked for others, and waits for
// it. The bus must live still.
func (f *Fleet) Shutdown() {
	f.mu.Lock()
	f.closing = true
	f.mu.Unlock()
	f.cancel()
	f.running.Wait()
}

// spawn runs do on a goroutine that Shutdown ends and waits for. False, and
// nothing is run, during Shutdown.
func (f *Fleet) spawn(do func(ctx context.Context)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closing {
		return false
	}
	f.running.Go(func() { do(f.ctx) })
	return true
}

// Bus asks the other instances.
type Bus interface {
	// Ask returns the answers of those that answered in time, and who did not.
	Ask(ctx context.Context, kind string, payload []byte) (cluster.Answers, error)
	// Handle says how this instance answers questions of a kind. It is called
	// before questions come.
	Handle(kind string, h cluster.Handler)
	// TellOne tells the instance that has an address something, Address is that
	// of this one. It may be lost.
	TellOne(ctx context.Context, address, kind string, payload []byte) error
	Address() string
}

var _ Bus = (*cluster.Bus)(nil)

// View tells which instances there are.
type View interface {
	// View lists the instances that live, this one too, in the order of their
	// names.
	View() []cluster.Instance
	// Others lists those but this one, in no order.
	Others() []cluster.Instance
	// Unheard lists others, not heard of for long, that are not known to have
	// gone.
	Unheard() []cluster.Instance
}

var _ View = (*cluster.Registry)(nil)
