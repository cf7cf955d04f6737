package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

var errNotSold = errors.New("not sold")

// order is one of a customer.
type order struct {
	Number int    `json:"number"`
	SKU    string `json:"sku"`
	Status string `json:"status"`
	Step   int    `json:"step"` // of the status: a later one is higher
}

// shop has the orders, and a goroutine for each that goes on, which ends when it
// is delivered or with the context. Safe for concurrent use.
type shop struct {
	ctx     context.Context
	publish *publisher
	pace    time.Duration
	parcels sync.WaitGroup

	mu     sync.Mutex
	orders map[string][]*order // by customer; guarded by mu
	calls  map[string]*order   // what a call has ordered; guarded by mu
	last   int                 // number; guarded by mu
}

func newShop(ctx context.Context, p *publisher, pace time.Duration) *shop {
	return &shop{ctx: ctx, publish: p, pace: pace, orders: map[string][]*order{}, calls: map[string]*order{}}
}

// wait returns when no parcel is under way any more.
func (s *shop) wait() { s.parcels.Wait() }

// place takes an order, or finds that a call has placed it already.
func (s *shop) place(callID, customer, sku string) (order, error) {
	if !slices.Contains([]string{"tea", "coffee"}, sku) {
		return order{}, errNotSold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, repeated := s.calls[callID]; repeated {
		return *known, nil
	}
	if err := s.ctx.Err(); err != nil {
		return order{}, err
	}
	s.last++
	o := &order{Number: s.last, SKU: sku, Status: "placed"}
	s.calls[callID] = o
	s.orders[customer] = append(s.orders[customer], o)
	s.parcels.Go(func() { s.send(customer, o) })
	return *o, nil
}

// of returns a customer's orders.
func (s *shop) of(customer string) []order {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []order{}
	for _, o := range s.orders[customer] {
		all = append(all, *o)
	}
	return all
}

// send takes an order through its steps, and tells the customer of each.
func (s *shop) send(customer string, o *order) {
	for _, status := range []string{"packed", "shipped", "delivered"} {
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(s.pace):
		}
		now := s.advance(o, status)
		err := s.publish.publish(s.ctx, publication{
			User: customer, Event: "order_status", Data: now,
			IdempotencyKey: fmt.Sprintf("order-%d-%s", now.Number, status),
		})
		if err != nil && s.ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "orders: number %d is %s, but nobody was told: %v\n", now.Number, status, err)
		}
	}
}

func (s *shop) advance(o *order, status string) order {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.Status = status
	o.Step++
	return *o
}
