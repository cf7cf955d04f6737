//go:build linux

package main

import (
	"os"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/cli"
)

func main() { os.Exit(cli.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
