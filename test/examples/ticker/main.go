package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed index.html
var page string

func main() {
	listen := flag.String("listen", "localhost:8080", "`address` of the page")
	gateway := flag.String("gateway", "localhost:3007", "`address` of the gateway's public port")
	admin := flag.String("admin", "localhost:9007", "`address` of the gateway's admin port")
	every := flag.Duration("every", 5*time.Millisecond, "time between two prices of a symbol")
	depth := flag.Int("depth", 50, "bids, and asks, in a `quote`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := &publisher{
		url: "http://" + *admin + "/api/v1/publish/batch", key: os.Getenv("API_KEY"),
		client: &http.Client{Timeout: 5 * time.Second},
	}
	m := newMarket(*depth, "ADA", "BTC", "DOT", "ETH", "LTC", "MOONX", "SOL", "XLM", "XMR", "XRP")
	var publishing sync.WaitGroup
	publishing.Go(func() { run(ctx, p, m, *every) })
	err := serve(ctx, *listen, strings.ReplaceAll(page, "localhost:3007", *gateway))
	stop()
	publishing.Wait()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ticker:", err)
		os.Exit(1)
	}
}

// run publishes prices until ctx ends.
func run(ctx context.Context, p *publisher, m *market, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := p.publish(ctx, m.move())
		if err != nil && !failing && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "ticker: prices are not published:", err)
		}
		failing = err != nil
	}
}

// serve serves the page until ctx ends.
func serve(ctx context.Context, listen, page string) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, page) // fails when the browser has gone
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	fmt.Printf("open http://%s/\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
