package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/coder/websocket"
)

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func serve(stdin io.Reader, stdout io.Writer) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(accept), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(ln) }() // ends with Close
	if _, err = fmt.Fprintln(stdout, ln.Addr()); err == nil {
		_, err = io.Copy(io.Discard, stdin)
	}
	_ = srv.Close()
	<-served
	return err
}

func accept(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	for err == nil {
		_, _, err = c.Read(r.Context())
	}
	_ = c.CloseNow()
}
