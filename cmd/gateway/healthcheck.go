package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/moonx-farm/ws-gateway/config"
)

// healthcheck asks the gateway that runs with these settings on this machine
// whether it is ready. Faults of the settings are worth a word only when it is
// not: one that runs keeps its policy and certificate when their files break.
func healthcheck(environ []string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	cfg, faults := config.Load(environ, versionText())
	if err := askReady(ctx, cfg); err != nil {
		return failed(errors.Join(err, faults))
	}
	return exitOK
}

// readiness is where a gateway of these settings tells whether it is ready.
func readiness(cfg config.Config) string {
	host, port := cfg.Server.Host, cfg.Server.Port
	scheme := "http"
	if cfg.Server.TLS() {
		scheme = "https"
	}
	if cfg.Server.ProxyProtocol { // this is no proxy, and may have the address of one
		host, port, scheme = cfg.Server.AdminHost, cfg.Server.AdminPort, "http"
	}
	if ip := net.ParseIP(host); ip == nil && host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port)) + "/health/ready"
}

func askReady(ctx context.Context, cfg config.Config) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, readiness(cfg), nil)
	if err != nil {
		return fmt.Errorf("ask for readiness: %w", err)
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		// The certificate names the public host, and this asks the own machine.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask for readiness: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", resp.Status)
	}
	return nil
}
