package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// keyFileBytes bounds the file of keys.
const keyFileBytes = 64 << 10

var errNoKeys = errors.New("ADMIN_API_KEYS_FILE holds no key")

// readKeys reads a file of keys: one to a line; empty lines and those that
// begin with # say nothing. The error holds no key.
func readKeys(path string) ([]string, error) {
	f, err := os.Open(path) //nolint:gosec // the operator's choice
	if err != nil {
		return nil, fmt.Errorf("ADMIN_API_KEYS_FILE: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, keyFileBytes+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("ADMIN_API_KEYS_FILE: %w", err)
	}
	if len(data) > keyFileBytes {
		return nil, fmt.Errorf("ADMIN_API_KEYS_FILE has more than %d bytes", keyFileBytes)
	}
	var keys []string
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case len(line) < minKey:
			return nil, fmt.Errorf("ADMIN_API_KEYS_FILE: the key on line %d has fewer than %d bytes", n, minKey)
		default:
			keys = append(keys, line)
		}
	}
	if len(keys) == 0 {
		return nil, errNoKeys
	}
	return keys, nil
}
