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

	"github.com/redis/go-redis/v9"
)

//go:embed index.html
var page string

func main() {
	listen := flag.String("listen", "localhost:8080", "`address` of the page")
	gateway := flag.String("gateway", "localhost:3007", "`address` of the gateway's public port")
	server := flag.String("redis", "localhost:6379", "`address` of the gateway's Redis")
	name := flag.String("worker", "worker-1", "`name` of this worker in the group, its own and always the same")
	pace := flag.Duration("pace", 3*time.Second, "how long a parcel stays at each step")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client := redis.NewClient(&redis.Options{Addr: *server, ContextTimeoutEnabled: true})
	w := &worker{redis: client, name: *name, pace: *pace}
	var working sync.WaitGroup
	working.Go(func() { w.run(ctx) })
	err := serve(ctx, *listen, strings.ReplaceAll(page, "localhost:3007", *gateway))
	stop()
	working.Wait()
	if err := errors.Join(err, client.Close()); err != nil {
		fmt.Fprintln(os.Stderr, "orders-redis:", err)
		os.Exit(1)
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
