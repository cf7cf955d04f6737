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
	"syscall"
	"time"
)

//go:embed index.html
var page string

func main() {
	listen := flag.String("listen", "localhost:8080", "`address` of the page and of the route")
	gateway := flag.String("gateway", "localhost:3007", "`address` of the gateway's public port")
	admin := flag.String("admin", "localhost:9007", "`address` of the gateway's admin port")
	pace := flag.Duration("pace", 3*time.Second, "how long a parcel stays at each step")
	flag.Parse()
	if err := run(*listen, *gateway, *admin, *pace); err != nil {
		fmt.Fprintln(os.Stderr, "orders:", err)
		os.Exit(1)
	}
}

func run(listen, gateway, admin string, pace time.Duration) error {
	secret := os.Getenv("SIGNING_SECRET")
	if secret == "" {
		return errors.New("SIGNING_SECRET is not set: without it anybody could order for anybody")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	s := newShop(ctx, newPublisher("http://"+admin, os.Getenv("API_KEY")), pace)
	defer s.wait()
	defer stop() // first: the shop closes with ctx
	mux := http.NewServeMux()
	mux.Handle("POST /events", &route{secret: []byte(secret), shop: s})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, strings.ReplaceAll(page, "localhost:3007", gateway)) // fails when the browser has gone
	})
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	fmt.Printf("open http://%s/\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
