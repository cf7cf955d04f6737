package main

import (
	"math"
	"math/rand/v2"
)

// quote is the price of a symbol, with what is bid and asked around it.
type quote struct {
	Symbol string       `json:"symbol"`
	Price  float64      `json:"price"`
	Bids   [][2]float64 `json:"bids"` // price and quantity, the best first
	Asks   [][2]float64 `json:"asks"`
}

// market makes prices up. For one goroutine.
type market struct {
	depth   int // bids, and asks, in a quote
	symbols []string
	prices  []float64
}

func newMarket(depth int, symbols ...string) *market {
	m := &market{depth: depth, symbols: symbols}
	for range symbols {
		m.prices = append(m.prices, cents(10+90*rand.Float64()))
	}
	return m
}

// move changes every price a little, and returns all of them.
func (m *market) move() []quote {
	quotes := make([]quote, len(m.symbols))
	for i, symbol := range m.symbols {
		m.prices[i] = max(1, cents(m.prices[i]*(1+0.001*rand.NormFloat64())))
		quotes[i] = quote{Symbol: symbol, Price: m.prices[i]}
		for step := range m.depth {
			away := 0.01 * float64(step+1)
			quotes[i].Bids = append(quotes[i].Bids, [2]float64{cents(m.prices[i] - away), float64(rand.IntN(1000))})
			quotes[i].Asks = append(quotes[i].Asks, [2]float64{cents(m.prices[i] + away), float64(rand.IntN(1000))})
		}
	}
	return quotes
}

func cents(x float64) float64 { return math.Round(100*x) / 100 }
