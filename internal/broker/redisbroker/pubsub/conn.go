package pubsub

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	readBuffer   = 64 << 10
	writeTimeout = 3 * time.Second
)

// Conn is a subscription connection. Receive is for one goroutine, Subscribe
// and Unsubscribe for one other; Close is safe for concurrent use.
type Conn struct {
	conn   net.Conn
	read   *reader
	write  []byte // owned by the writing goroutine
	closed sync.Once
}

// Dial connects to where the options of a client lead, and authenticates as it
// does. The errors hold no secrets.
func Dial(ctx context.Context, to *redis.Options) (*Conn, error) {
	conn, err := to.Dialer(ctx, to.Network, to.Addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := &Conn{conn: conn, read: &reader{from: bufio.NewReaderSize(conn, readBuffer)}}
	if err := c.greet(ctx, to.Username, to.Password); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// greet authenticates, and finds out that somebody answers at all.
func (c *Conn) greet(ctx context.Context, username, password string) error {
	stop := context.AfterFunc(ctx, c.Close)
	defer stop()
	if password != "" {
		words := []string{"AUTH", username, password}
		if username == "" {
			words = []string{"AUTH", password}
		}
		if err := c.ask(words); err != nil {
			return fmt.Errorf("authenticate: %w", err)
		}
	}
	if err := c.ask([]string{"CLIENT", "SETNAME", "ws-gateway-subscriptions"}); err != nil && !refused(err) {
		return fmt.Errorf("name the connection: %w", err)
	}
	return nil
}

// ask sends one command and reads its answer.
func (c *Conn) ask(words []string) error {
	c.write = appendCommand(c.write[:0], words[0], words[1:])
	if err := c.flush(); err != nil {
		return err
	}
	_, err := c.read.next()
	return err
}

// refused tells whether the server answered, with an error of its own.
func refused(err error) bool {
	var r *refusal
	return errors.As(err, &r)
}

// Subscribe asks for channels, plain ones in one command, sharded ones in one
// command each, as they are in slots of their own. It returns how many commands
// it sent. A Subscribed, or a Refused for the command, is received for each.
func (c *Conn) Subscribe(channels []string, sharded bool) (int, error) {
	return c.send(channels, sharded, "SUBSCRIBE")
}

// Unsubscribe is the opposite of Subscribe; an Unsubscribed is received for
// each.
func (c *Conn) Unsubscribe(channels []string, sharded bool) (int, error) {
	return c.send(channels, sharded, "UNSUBSCRIBE")
}

func (c *Conn) send(channels []string, sharded bool, verb string) (int, error) {
	if len(channels) == 0 {
		return 0, nil
	}
	c.write = c.write[:0]
	n := 1
	if sharded {
		n = len(channels)
		for i := range channels {
			c.write = appendCommand(c.write, "S"+verb, channels[i:i+1])
		}
	} else {
		c.write = appendCommand(c.write, verb, channels)
	}
	return n, c.flush()
}

func (c *Conn) flush() error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(c.write)
	if cap(c.write) > readBuffer {
		c.write = nil
	}
	return err
}

func appendCommand(b []byte, verb string, words []string) []byte {
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(1+len(words)), 10)
	b = appendBulk(append(b, "\r\n"...), verb)
	for _, word := range words {
		b = appendBulk(b, word)
	}
	return b
}

func appendBulk(b []byte, s string) []byte {
	b = append(b, '$')
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, "\r\n"...)
	b = append(b, s...)
	return append(b, "\r\n"...)
}

// Kind says what was received.
type Kind uint8

// What a subscription connection receives.
const (
	Message      Kind = iota + 1
	Subscribed        // a channel is live
	Unsubscribed      // a channel is not, asked for or not: its slot may have moved
	Refused           // a command was; Reason says why
)

// Received is one thing that came.
type Received struct {
	Kind    Kind
	Channel []byte // valid until the next Receive
	Payload []byte // of a Message; may be kept
	Reason  string // of a Refused
}

// Moved tells whether a Refused says that the slot is another server's.
func (r *Received) Moved() bool {
	return strings.HasPrefix(r.Reason, "MOVED") || strings.HasPrefix(r.Reason, "ASK") ||
		strings.HasPrefix(r.Reason, "CLUSTERDOWN") || strings.HasPrefix(r.Reason, "TRYAGAIN")
}

// Receive waits for the next thing that comes. After an error the connection is
// over.
func (c *Conn) Receive() (Received, error) {
	got, err := c.read.next()
	var r *refusal
	if errors.As(err, &r) {
		return Received{Kind: Refused, Reason: r.reason}, nil
	}
	return got, err
}

// Close ends the connection; a Receive under way returns an error. Calls after
// the first do nothing.
func (c *Conn) Close() {
	c.closed.Do(func() { _ = c.conn.Close() })
}
