package socketio

import (
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestARecoverablePublicationEndsInItsOffset(t *testing.T) {
	at := wire.Position{Epoch: 1, Offset: 7, Nonce: 2}
	for name, c := range map[string]struct {
		namespace     string
		p             wire.Publication
		want, skipped string
	}{
		"with history": {
			"/", wire.Publication{Room: "x", Event: "e", Data: []byte(`{"a":1}`), Position: at},
			`42["e",{"a":1},{"room":"x","offset":7,"pos":"AAAAAAAB.7.AAAAAAAC"},"x AAAAAAAB.7.AAAAAAAC"]`,
			`42["e",{"a":1},{"room":"x","offset":7,"pos":"AAAAAAAB.7.AAAAAAAC","skipped":3},"x AAAAAAAB.7.AAAAAAAC"]`,
		},
		"a string, in a namespace": {
			"/n[", wire.Publication{Room: "a:b/c@d.e", Event: "e", Data: []byte(`"s"`), Position: at},
			`42/n[,["e","s",{"room":"a:b/c@d.e","offset":7,"pos":"AAAAAAAB.7.AAAAAAAC"},"a:b/c@d.e AAAAAAAB.7.AAAAAAAC"]`,
			`42/n[,["e","s",{"room":"a:b/c@d.e","offset":7,"pos":"AAAAAAAB.7.AAAAAAAC","skipped":3},"a:b/c@d.e AAAAAAAB.7.AAAAAAAC"]`,
		},
		"without history": {
			"/", wire.Publication{Room: "x", Event: "e", Data: []byte(`"s"`)},
			`42["e","s",{"room":"x"}]`, `42["e","s",{"room":"x","skipped":3}]`,
		},
		"a string for everyone is taken for no offset": {
			"/n[", wire.Publication{Room: wire.Everyone, Event: "e", Data: []byte(`"x AAAAAAAB.7.AAAAAAAC"`)},
			`42/n[,["e","x AAAAAAAB.7.AAAAAAAC",{}]`, `42/n[,["e","x AAAAAAAB.7.AAAAAAAC",{"skipped":3}]`,
		},
		"an empty object for everyone": {
			"/", wire.Publication{Room: wire.Everyone, Event: "e,", Data: []byte(`{}`)},
			`42["e,",{}]`, `42["e,",{},{"skipped":3}]`,
		},
		"nothing for everyone": {
			"/", wire.Publication{Room: wire.Everyone, Event: "e"},
			`42["e",null]`, `42["e",null,{"skipped":3}]`,
		},
	} {
		codec := For(c.namespace).Recoverable()
		f := codec.Publication(&c.p)
		if got := string(f.Payload()); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
		if got := string(codec.Skipped(f, 3).Payload()); got != c.skipped {
			t.Errorf("%s, skipped: %s\nwant %s", name, got, c.skipped)
		}
	}
}

func TestRecoverableCodecsOfANamespaceAreEqual(t *testing.T) {
	one, other := For("/a").Recoverable(), For("/a").Recoverable()
	if one != other || For("/a").Recoverable() == For("/a") || For("/").Recoverable().Namespace() != "/" {
		t.Error("a publication would be encoded for each client, or for none rightly")
	}
}

func TestOffsetsAreReadOrRefused(t *testing.T) {
	if room, at, ok := ParseOffset("a:b AAAAAAAB.7.AAAAAAAC"); room != "a:b" || at != (wire.Position{Epoch: 1, Offset: 7, Nonce: 2}) || !ok {
		t.Error(room, at, ok)
	}
	for _, text := range []string{"", " ", "x", "x ", " AAAAAAAB.7.AAAAAAAC", "x AAAAAAAB.7.AAAAAAAC ", "x  AAAAAAAB.7.AAAAAAAC", "ü AAAAAAAB.7.AAAAAAAC", "x 7"} {
		if room, at, ok := ParseOffset(text); ok || room != "" || !at.IsZero() {
			t.Errorf("%q is read as %q %v", text, room, at)
		}
	}
}
