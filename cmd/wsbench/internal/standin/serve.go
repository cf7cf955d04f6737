package standin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// serve serves HTTP until stdin ends. It prints its address when it is ready,
// and at its end what tally says.
func serve(ctx context.Context, name, address string, h http.Handler, stdin io.Reader, stdout io.Writer, tally func() string) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }() // ended by srv.Close, waited for below
	if _, err := fmt.Fprintln(stdout, ln.Addr()); err == nil {
		_, _ = io.Copy(io.Discard, stdin)
	}
	_ = srv.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, err = fmt.Fprintln(stdout, tally())
	return err
}
