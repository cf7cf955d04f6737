package examples

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

func TestCustomersSeeTheirOwnOrdersGoOnOverHTTP(t *testing.T) {
	t.Parallel()
	e := runExample(t, "orders", nil, "-pace", "300ms")
	ann := openTab(t, e.page)
	ann.enter("#name", "ann")
	bob := ann.another(e.page)
	bob.enter("#name", "bob")
	ann.order("gold")
	ann.untilShown("#problem", "We do not sell that.")
	ann.order("tea")
	ann.untilShown("#order-1", "1\ttea\tplaced")
	bob.order("coffee")
	bob.untilShown("#order-2", "2\tcoffee\tplaced")
	e.gateway.kill() // what the backend cannot publish now it publishes later
	until(t, "the page says that it is away", func() bool { return ann.Text("#state") != "" })
	e.startGateway()
	ann.untilShown("#order-1", "1\ttea\tdelivered")
	bob.untilShown("#order-2", "2\tcoffee\tdelivered")
	if ann.Text("#orders") != ann.Text("#order-1") {
		t.Errorf("Ann sees %q", ann.Text("#orders"))
	}

	again := ann.another(e.page)
	again.enter("#name", "ann")
	again.untilShown("#orders", "1\ttea\tdelivered")

	// What the gateway repeats, as an answer was lost, is the order that it was.
	body := `{"callId": "C1", "event": "order:create", "user": "cleo", "data": {"sku": "tea"}}`
	for range 2 {
		if status, answer := e.call(body, "development-only-secret"); status != http.StatusOK || !strings.Contains(answer, `"number":3,`) {
			t.Errorf("a call that may be repeated: %d %s", status, answer)
		}
	}
	if status, answer := e.call(body, "another secret"); status != http.StatusUnauthorized {
		t.Errorf("a call that the gateway has not signed: %d %s", status, answer)
	}
}

// call calls the backend of orders as the gateway does, with a secret.
func (e *example) call(body, secret string) (status int, answer string) {
	e.t.Helper()
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "." + body))
	req, err := http.NewRequestWithContext(e.t.Context(), http.MethodPost, e.page+"events", strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Gateway-Signature", "t="+stamp+",v1="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := lone.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestCustomersSeeTheirOwnOrdersGoOnOverRedis(t *testing.T) {
	t.Parallel()
	at := redistest.Single(t).Addr()
	host, port, _ := strings.Cut(at, ":")
	e := runExample(t, "orders-redis", []string{"REDIS_HOST=" + host, "REDIS_PORT=" + port}, "-redis", at, "-pace", "300ms")
	ann := openTab(t, e.page)
	ann.enter("#name", "ann")
	ann.order("tea")
	until(t, "the order is under way", func() bool { return strings.Contains(ann.Text("#orders"), "packed") })
	e.program.kill()
	ann.order("gold") // Redis has it
	until(t, "the order is placed", func() bool { return strings.Contains(ann.Text("#orders"), "placed") })
	e.startProgram()
	until(t, "both are done", func() bool {
		rows := strings.Split(ann.Text("#orders"), "\n")
		return len(rows) == 2 && strings.HasSuffix(rows[0], "\ttea\tdelivered") && strings.HasSuffix(rows[1], "\tgold\tnot sold")
	})

	again := ann.another(e.page)
	again.enter("#name", "ann")
	until(t, "a new page shows both", func() bool { return strings.Count(again.Text("#orders"), "\n") == 1 })
	bob := ann.another(e.page)
	bob.enter("#name", "bob")
	bob.order("coffee")
	until(t, "Bob's is done", func() bool { return strings.HasSuffix(bob.Text("#orders"), "\tcoffee\tdelivered") })
	if seen := bob.Text("#orders"); strings.Contains(seen, "tea") {
		t.Errorf("Bob sees %q", seen)
	}
	// Each step was told once, though the worker had begun its order twice.
	told := browser.Eval[int](again.Tab, `(async () => {
		const { connect } = await import('http://%s/client.js');
		const client = connect('ws://%[1]s/ws', { token: 'ann' });
		const room = await new Promise((resolve) => client.on('room', resolve));
		await room.joined;
		const { publications } = await room.history();
		client.close();
		return publications.length;
	})()`, e.public)
	if told != 4 {
		t.Errorf("Ann was told %d times, and not of three steps and a refusal", told)
	}
}
