package emitter

import (
	"strings"
	"testing"
)

func TestTheKeyIsVisibleText(t *testing.T) {
	for _, key := range []string{"socket.io", "off", "my[app]*", strings.Repeat("k", maxKey)} {
		if err := (Config{Key: key}).Validate(); err != nil {
			t.Error(err)
		}
	}
	for _, key := range []string{"", "a b", "a\n", "é", strings.Repeat("k", maxKey+1)} {
		if err := (Config{Key: key}).Validate(); err == nil || !strings.HasPrefix(err.Error(), "SOCKETIO_EMITTER_KEY ") || !strings.Contains(err.Error(), ": want ") {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestANamespaceIsListenedToOnce(t *testing.T) {
	c := newChannels(Config{Key: "k", Requests: true, Namespaces: []string{"/", "/a", "/"}})
	if c.count() != 4 {
		t.Errorf("%+v", c)
	}
}

func TestMessagesGoToTheNamespaceOfTheirPattern(t *testing.T) {
	c := newChannels(Config{Key: "k", Requests: true, Namespaces: []string{"/", "/a", "/a#b"}})
	for _, each := range []struct{ pattern, channel, name, room string }{
		{"k#/#*", "k#/#", "/", ""}, {"k#/#*", "k#/#r#", "/", "r"}, {"k#/#*", "k#/#a#b#", "/", "a#b"},
		{"k#/a#*", "k#/a#b#r#", "/a", "b#r"}, {"k#/a#b#*", "k#/a#b#r#", "/a#b", "r"}, {"", "k-request#/a#", "/a", ""},
	} {
		got, ok := c.arrival(each.pattern, each.channel, "x")
		if !ok || got.space.name != each.name || got.room != each.room || got.request != (each.pattern == "") || got.payload != "x" {
			t.Errorf("%s: %+v, %v", each.channel, got, ok)
		}
	}
	if _, ok := c.arrival("", "other", ""); ok {
		t.Error("a channel that is not subscribed to")
	}
}
