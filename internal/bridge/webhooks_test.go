package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// hooks are webhooks of a test.
type hooks struct {
	*Webhooks
	t *testing.T
}

func (b *backend) hooks(change ...func(*Config)) *hooks {
	cfg := Config{
		SigningSecrets: []string{"an older secret", secret}, Instance: "here", WebhookURL: "http://backend/hooks",
		WebhookEvents: Kinds(), WebhookTimeout: 5 * time.Second, WebhookRetryFor: time.Minute, WebhookQueue: 10,
	}
	for _, f := range change {
		f(&cfg)
	}
	client := NewClient(cfg, b.dial)
	b.t.Cleanup(client.Close)
	h := &hooks{NewWebhooks(cfg, client, b.log), b.t}
	h.Start()
	return h
}

// stop ends the webhooks, which may take as long.
func (h *hooks) stop(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return h.Shutdown(ctx)
}

// told are the events of requests, as "kind subject", and what was dropped.
func told(t *testing.T, sent []got) (events []string, dropped []int) {
	t.Helper()
	for _, g := range sent {
		var m struct {
			Instance string
			Dropped  int
			Events   []struct {
				ID, Type, Connection, User, Room string
				Time                             int64
			}
		}
		if err := json.Unmarshal([]byte(g.body), &m); err != nil || m.Instance != "here" {
			t.Fatalf("%s: %v", g.body, err)
		}
		if err := verify(g.header.Get(SignatureHeader), g.body, g.at); err != nil {
			t.Error(err)
		}
		dropped = append(dropped, m.Dropped)
		for _, e := range m.Events {
			events = append(events, e.Type+" "+e.Connection+e.Room)
		}
	}
	return events, dropped
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestABackendIsToldWhatHappenedInItsOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		h := b.hooks()
		ann := &auth.Identity{UserID: "ann"}
		h.Connected("c1", ann)
		h.Occupied("user:ann")
		synctest.Wait()
		h.Occupied("lobby")
		h.Vacated("lobby")
		h.Disconnected("c1", ann, wire.Close{Code: wire.CloseGoingAway, Reason: "bye"})
		synctest.Wait()
		sent := b.took()
		events, _ := told(t, sent)
		same(t, "events", events, []string{"connect c1", "room_occupied user:ann", "room_occupied lobby", "room_vacated lobby", "disconnect c1"})
		last := sent[len(sent)-1].body
		want := fmt.Sprintf(`{"id":"%s-5","type":"disconnect","time":%d,"connection":"c1","user":"ann","guest":false,"code":1001,"why":"going away"}]}`,
			h.run, time.Now().UnixMilli())
		if !strings.HasSuffix(last, want) {
			t.Errorf("sent %s\nwant …%s", last, want)
		}
		if err := h.stop(time.Second); err != nil {
			t.Error(err)
		}
		same(t, "counters", h.Stats(), WebhookStats{Delivered: 5})
	})
}

func TestOnlyWhatIsWantedIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		h := b.hooks(func(c *Config) { c.WebhookEvents = []string{KindRoomVacated} })
		h.Connected("c1", &auth.Identity{UserID: "ann"})
		h.Occupied("lobby")
		h.Vacated("lobby")
		h.Disconnected("c1", &auth.Identity{UserID: "ann"}, wire.Close{})
		synctest.Wait()
		events, _ := told(t, b.took())
		same(t, "events", events, []string{"room_vacated lobby"})
		_ = h.stop(time.Second)
	})
}

func TestWithoutAURLNobodyIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		h := b.hooks(func(c *Config) { c.WebhookURL = "" })
		h.Connected("c1", &auth.Identity{UserID: "ann"})
		h.Occupied("lobby")
		if err := h.stop(time.Second); err != nil || h.Enabled() || len(b.took()) != 0 {
			t.Errorf("stopped with %v", err)
		}
		same(t, "counters", h.Stats(), WebhookStats{})
	})
}

func TestARequestIsRepeatedUntilItIsTaken(t *testing.T) {
	for name, tc := range map[string]func(b *backend){
		"a fault":        func(b *backend) { b.answers(500, "") },
		"a refusal":      func(b *backend) { b.answers(404, "") },
		"a redirect":     func(b *backend) { b.answers(302, "") },
		"no answer":      func(b *backend) { b.handles(hang) },
		"no connection":  func(b *backend) { b.refuse(true) },
		"a broken one":   func(b *backend) { b.handles(drop) },
		"a long refusal": func(b *backend) { b.answers(500, strings.Repeat("x", 1<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *backend) {
				tc(b)
				h := b.hooks()
				h.Occupied("a")
				synctest.Wait()
				h.Occupied("b") // waits behind
				time.Sleep(20 * time.Second)
				before := b.took()
				if h.Err() == nil {
					t.Error("health knows nothing of it")
				}
				b.refuse(false)
				b.answers(204, "")
				time.Sleep(40 * time.Second)
				after := b.took()
				if h.Err() != nil {
					t.Errorf("health still says %v", h.Err())
				}
				events, _ := told(t, after)
				same(t, "events", events, []string{"room_occupied a", "room_occupied b"})
				for _, g := range before {
					if g.body != after[0].body {
						t.Errorf("repeated as %s, was %s", after[0].body, g.body)
					}
				}
				_ = h.stop(time.Second)
				s := h.Stats()
				if s.Delivered != 2 || s.Dropped != 0 || s.Retries < 2 || s.Retries > 12 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestEventsAreGivenUpAfterAWhileAndTheReceiverLearnsIt(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		b.answers(500, "")
		h := b.hooks()
		h.Occupied("a")
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		same(t, "counted", h.Stats().Dropped, 1)
		b.took()
		b.answers(200, "")
		h.Occupied("b")
		synctest.Wait()
		h.Occupied("c")
		synctest.Wait()
		events, dropped := told(t, b.took())
		same(t, "events", events, []string{"room_occupied b", "room_occupied c"})
		same(t, "dropped", dropped, []int{1, 0})
		_ = h.stop(time.Second)
	})
}

func TestAFullQueueForgetsTheOldestAndCountsIt(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		b.handles(hang)
		h := b.hooks()
		h.Occupied("under way")
		synctest.Wait()
		for i := range 25 {
			h.Occupied(fmt.Sprint(i))
		}
		if s := h.Stats(); s.Queued != 10 || s.Dropped != 15 || len(h.waiting) != 10 {
			t.Errorf("%+v", s)
		}
		b.answers(200, "")
		time.Sleep(time.Minute)
		events, dropped := told(t, b.took())
		want := []string{"room_occupied under way", "room_occupied under way"} // the first time without an answer
		for i := 15; i < 25; i++ {
			want = append(want, fmt.Sprintf("room_occupied %d", i))
		}
		same(t, "events", events, want)
		same(t, "dropped", dropped, []int{0, 0, 15})
		_ = h.stop(time.Second)
	})
}

func TestManyEventsShareARequest(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		gate := make(chan struct{})
		b.handles(func(http.ResponseWriter, *http.Request) { <-gate })
		h := b.hooks(func(c *Config) { c.WebhookQueue = 1000 })
		var senders sync.WaitGroup
		for s := range 4 {
			senders.Go(func() {
				for i := range 100 {
					h.Occupied(fmt.Sprintf("%d:%d", s, i))
				}
			})
		}
		senders.Wait()
		close(gate)
		synctest.Wait()
		sent := b.took()
		events, _ := told(t, sent)
		if len(events) != 400 || len(sent) > 6 {
			t.Errorf("%d events in %d requests", len(events), len(sent))
		}
		for s := range 4 {
			mine := slices.DeleteFunc(slices.Clone(events), func(e string) bool { return !strings.HasPrefix(e, fmt.Sprintf("room_occupied %d:", s)) })
			for i, e := range mine {
				same(t, "event", e, fmt.Sprintf("room_occupied %d:%d", s, i))
			}
		}
		_ = h.stop(time.Second)
	})
}

func TestShutdownSendsWhatIsQueued(t *testing.T) {
	inBubble(t, func(t *testing.T, b *backend) {
		b.answers(500, "")
		h := b.hooks()
		h.Occupied("a")
		time.Sleep(30 * time.Second) // deep in its backoff
		h.Occupied("b")
		b.took()
		b.answers(200, "")
		begin := time.Now()
		if err := h.stop(5 * time.Second); err != nil || time.Since(begin) > time.Second {
			t.Errorf("stopped with %v after %v", err, time.Since(begin))
		}
		events, _ := told(t, b.took())
		same(t, "events", events, []string{"room_occupied a", "room_occupied b"})
		h.Occupied("late")
		same(t, "dropped", h.Stats().Dropped, 1)
	})
}

func TestShutdownIsBoundedAndCountsWhatIsLeft(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"it hangs":  hang,
		"it fails":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"it breaks": drop,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *backend) {
				b.handles(answer)
				h := b.hooks()
				for i := range 5 {
					h.Occupied(fmt.Sprint(i))
				}
				synctest.Wait()
				begin := time.Now()
				err := h.stop(3 * time.Second)
				if took := time.Since(begin); took != 3*time.Second || err == nil {
					t.Errorf("stopped with %v after %v", err, took)
				}
				if s := h.Stats(); s.Dropped != 5 || s.Queued != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestSettingsAreChecked(t *testing.T) {
	good := Config{WebhookTimeout: 1, WebhookRetryFor: 1, WebhookQueue: 1}
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string // "": no fault
	}{
		"nothing set":    {func(*Config) {}, ""},
		"a webhook":      {func(c *Config) { c.WebhookURL, c.SigningSecrets = "https://a/b?c=d", []string{secret} }, ""},
		"no secret":      {func(c *Config) { c.WebhookURL = "https://a/" }, "WEBHOOK_URL is set: set SIGNING_SECRETS too"},
		"a short secret": {func(c *Config) { c.SigningSecrets = []string{secret, "canary"} }, "SIGNING_SECRETS: secret 2 is shorter than 16 bytes"},
		"another scheme": {func(c *Config) { c.WebhookURL = "ftp://canary/" }, "WEBHOOK_URL: want http or https"},
		"no host":        {func(c *Config) { c.WebhookURL = "https:///canary" }, "WEBHOOK_URL: want http or https"},
		"a password":     {func(c *Config) { c.WebhookURL = "https://u:canary@a/" }, "WEBHOOK_URL: want http or https"},
		"another kind": {func(c *Config) {
			c.WebhookURL, c.SigningSecrets, c.WebhookEvents = "https://a/", []string{secret}, []string{"join"}
		}, `WEBHOOK_EVENTS "join"`},
		"no time":            {func(c *Config) { c.WebhookTimeout = 0 }, "WEBHOOK_TIMEOUT 0s"},
		"no time to retry":   {func(c *Config) { c.WebhookRetryFor = -1 }, "WEBHOOK_RETRY_FOR -1ns"},
		"no queue":           {func(c *Config) { c.WebhookQueue = 0 }, "WEBHOOK_QUEUE 0"},
		"an enormous queue":  {func(c *Config) { c.WebhookQueue = 1 << 30 }, "WEBHOOK_QUEUE 1073741824"},
		"no URL at all, %zz": {func(c *Config) { c.WebhookURL = "https://%zz" }, "WEBHOOK_URL: want http or https"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			tc.change(&c)
			err := c.Validate()
			if (err == nil) != (tc.want == "") || err != nil && (!strings.HasPrefix(err.Error(), tc.want) || strings.Contains(err.Error(), "canary")) {
				t.Errorf("got %v", err)
			}
		})
	}
}
