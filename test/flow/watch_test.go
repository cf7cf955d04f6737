package flow

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/monitor"
)

const (
	oldKey = "an-old-key-of-the-file"
	newKey = "the-new-key-of-the-file"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatClientsDoIsMeasuredAndCounted(t *testing.T) {
	inBubble(t, []string{"ADMIN_API_KEYS=" + oldKey}, func(t *testing.T, r *rig) {
		ann := r.connect("ann")
		ann.send(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`)
		ann.expect("room_joined")
		ann.send(`{"event":"publish","id":2,"data":{"room":"lobby","event":"chat"}}`)
		ann.expect("published")
		ann.expect("chat")
		ann.send(`{"event":"nonsense"}`)
		ann.expect("error")

		if status, _ := r.admin("/debug/performance"); status != 401 {
			t.Errorf("without a key: %d", status)
		}
		status, body := r.keyed("/debug/performance", oldKey)
		var report monitor.Report
		if err := json.Unmarshal([]byte(body), &report); err != nil || status != 200 {
			t.Fatalf("%d %v: %s", status, err, body)
		}
		for op, least := range map[string]int64{"upgrade": 1, "authenticate": 1, "join": 1, "publish": 1, "deliver": 1} {
			if got := report.Operations[op]; got.Count < least || got.TimedOneIn != 1 {
				t.Errorf("%s: %+v", op, got)
			}
		}
		if got := report.Counters; got["published"].Count != 1 || got["requests"].Count != 3 || got["messagesReceived"].Count != 3 {
			t.Errorf("%+v", got)
		}
		_ = ann.ws.CloseNow()
		synctest.Wait()
		_, body = r.admin("/metrics")
		for _, want := range []string{
			"websocket_connections_active 0\n", "websocket_connections_total 1\n", "websocket_messages_received_total 3\n",
			`websocket_disconnections_total{reason="connection_lost"} 1`, `websocket_errors_total{code="unknown_event"} 1`,
			`ws_gateway_operation_duration_seconds_count{operation="publish"} 1`, "ws_gateway_ready 1\n", `ws_gateway_healthy{check="drain"} 1`,
		} {
			if !strings.Contains(body, "\n"+want) {
				t.Errorf("metrics: no %q", want)
			}
		}
	})
}

func TestPolicyAndKeysAreReplacedWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	policy, keys := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "keys")
	write(t, policy, "version: 1\nrooms: [{match: '**', join: anyone, publish: member}]\n")
	write(t, keys, oldKey)
	inBubble(t, []string{"POLICY_FILE=" + policy, "ADMIN_API_KEYS_FILE=" + keys}, func(t *testing.T, r *rig) {
		ann := r.connect("ann")
		pass := func() { time.Sleep(3 * time.Second); synctest.Wait() }
		join := func(want string) {
			t.Helper()
			ann.send(`{"event":"join_room","id":1,"data":{"room":"lobby"}}`)
			ann.expect(want)
		}
		expect := func(what string, old, fresh int, health string) {
			t.Helper()
			for key, want := range map[string]int{oldKey: old, newKey: fresh} {
				if status, _ := r.keyed("/debug/performance", key); status != want {
					t.Errorf("%s: %s got %d", what, key, status)
				}
			}
			if status, body := r.get("http://gateway:80/health"); status != 200 || !strings.HasPrefix(body, `{"status":"`+health+`"`) {
				t.Errorf("%s: health says %d %s", what, status, body)
			}
		}
		expect("at first", 200, 401, "ok")
		join("room_joined")

		write(t, keys, newKey)
		write(t, policy, "version: 1\nrooms: [{match: 'other', join: anyone, publish: member}]\n")
		pass()
		expect("replaced", 401, 200, "ok")
		join("error")

		write(t, keys, "short")
		write(t, policy, "version: 1\nrooms: [{match: '**', join: everybody}]\n")
		pass()
		expect("faulty files", 401, 200, "degraded")
		join("error")
		if _, body := r.admin("/metrics"); !strings.Contains(body, `ws_gateway_reload_stale{what="keys"} 1`) || !strings.Contains(body, `ws_gateway_reload_stale{what="policy"} 1`) {
			t.Error("metrics do not say that the files are faulty")
		}
		_, body := r.get("http://gateway:80/health")
		if strings.Contains(body, "short") || strings.Contains(body, dir) || !strings.Contains(body, "a reload failed") {
			t.Errorf("everybody reads %s", body)
		}

		write(t, keys, oldKey+"\n"+newKey)
		write(t, policy, "version: 1\nrooms: [{match: '**', join: anyone, publish: member}]\n")
		pass()
		expect("repaired", 200, 200, "ok")
		join("room_joined")
	})
}
