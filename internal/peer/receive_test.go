package peer

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// door is a Receiver with a secret, and a way to knock.
type door struct {
	*Receiver
	t     testing.TB
	key   []byte
	taken int
	body  error // of the last request that was taken
	n     uint64
}

func newDoor(t testing.TB) *door {
	d := &door{t: t, key: []byte(strings.Repeat("k", 52))}
	keys := NewKeyring(vault(d.key), zap.NewNop())
	d.Receiver = NewReceiver("homehome", keys, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		d.taken++
		_, d.body = io.ReadAll(r.Body)
	}))
	return d
}

// vault holds a secret that Redis need not fail to give here.
type vault []byte

func (v vault) Read(context.Context) ([]byte, error) { return v, nil }

// knock is a request that another instance would send, before it is changed.
type knock struct {
	ticket
	key               []byte
	method, uri, path string // path: what the request really asks for
	body              string // what really comes
	change            func(h http.Header)
}

func (d *door) knock(change func(k *knock)) *httptest.ResponseRecorder {
	d.n++
	k := &knock{key: d.key, method: http.MethodPost, uri: "/socket.io/?sid=homehome.s", body: "4hello", ticket: ticket{
		From: "afarafar", To: "homehome", Sequence: d.n, Time: time.Now().UnixMilli(),
		Length: 6, Digest: digest([]byte("4hello")), Client: "203.0.113.9:1", Host: "a.example",
	}}
	if change != nil {
		change(k)
	}
	if k.path == "" {
		k.path = k.uri
	}
	r := httptest.NewRequestWithContext(d.t.Context(), k.method, Path+k.path, strings.NewReader(k.body))
	if err := seal(r.Header, k.key, http.MethodPost, k.uri, k.ticket); err != nil {
		d.t.Fatal(err)
	}
	if k.change != nil {
		k.change(r.Header)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

func TestARequestIsTakenOnlyWithAValidTicket(t *testing.T) {
	d := newDoor(t)
	for name, c := range map[string]struct {
		change func(k *knock)
		want   refusal
	}{
		"as it should be":    {nil, ""},
		"a little early":     {func(k *knock) { k.Time += (maxSkew - 5*time.Second).Milliseconds() }, ""},
		"a little late":      {func(k *knock) { k.Time -= (maxSkew - 5*time.Second).Milliseconds() }, ""},
		"late":               {func(k *knock) { k.Time -= (maxSkew + time.Second).Milliseconds() }, refusedTime},
		"of the future":      {func(k *knock) { k.Time += (maxSkew + 5*time.Second).Milliseconds() }, refusedTime},
		"of no time":         {func(k *knock) { k.Time = 0 }, refusedTime},
		"beyond time":        {func(k *knock) { k.Time = -1 << 63 }, refusedTime},
		"for another":        {func(k *knock) { k.To = "thirdone" }, refusedInstance},
		"with another key":   {func(k *knock) { k.key = []byte("another") }, refusedSignature},
		"with an empty key":  {func(k *knock) { k.key = nil }, refusedSignature},
		"another method":     {func(k *knock) { k.method = http.MethodGet }, refusedSignature},
		"another query":      {func(k *knock) { k.path = "/socket.io/?sid=homehome.t" }, refusedSignature},
		"another path":       {func(k *knock) { k.path = "/api/?sid=homehome.s" }, refusedSignature},
		"an escaped path":    {func(k *knock) { k.path = "/socket%2eio/?sid=homehome.s" }, refusedSignature},
		"number 0":           {func(k *knock) { k.Sequence = 0 }, refusedRepeat},
		"without signature":  {func(k *knock) { k.change = func(h http.Header) { h.Del(signatureHeader) } }, refusedForm},
		"without ticket":     {func(k *knock) { k.change = func(h http.Header) { h.Del(ticketHeader) } }, refusedForm},
		"two signatures":     {func(k *knock) { k.change = func(h http.Header) { h.Add(signatureHeader, "00") } }, refusedForm},
		"two tickets":        {func(k *knock) { k.change = func(h http.Header) { h.Add(ticketHeader, "e30") } }, refusedForm},
		"no hex":             {func(k *knock) { k.change = func(h http.Header) { h.Set(signatureHeader, "zz") } }, refusedSignature},
		"a short signature":  {func(k *knock) { k.change = func(h http.Header) { h.Set(signatureHeader, h.Get(signatureHeader)[:32]) } }, refusedSignature},
		"an empty signature": {func(k *knock) { k.change = func(h http.Header) { h.Set(signatureHeader, "") } }, refusedSignature},
		"a longer one":       {func(k *knock) { k.change = func(h http.Header) { h.Set(signatureHeader, h.Get(signatureHeader)+"00") } }, refusedSignature},
		"another ticket": {func(k *knock) {
			k.change = func(h http.Header) {
				k.Client = "127.0.0.1:1"
				encoded, _ := k.encode()
				h.Set(ticketHeader, encoded)
			}
		}, refusedSignature},
		"a huge ticket": {func(k *knock) { k.Host = strings.Repeat("x", maxTicket) }, refusedForm},
		"signed nonsense": {func(k *knock) {
			k.change = func(h http.Header) {
				h.Set(ticketHeader, base64.RawURLEncoding.EncodeToString([]byte("{")))
				h.Set(signatureHeader, hex.EncodeToString(signature(k.key, http.MethodPost, k.uri, h.Get(ticketHeader))))
			}
		}, refusedForm},
	} {
		before := d.taken
		w := d.knock(c.change)
		if got := refusal(w.Header().Get(refusalHeader)); got != c.want || (d.taken > before) != (c.want == "") || (w.Code == http.StatusForbidden) != (c.want != "") {
			t.Errorf("%s: %d, refused for %q, want %q", name, w.Code, got, c.want)
		}
	}
	if got := d.Receiver.Stats(); got.Taken != 3 || got.Refused < 20 {
		t.Errorf("stats: %+v", got)
	}
}

func TestARequestThatIsNotForAnOwnSessionGoesNoFurther(t *testing.T) {
	d := newDoor(t)
	for _, uri := range []string{"/socket.io/?sid=afarafar.s", "/socket.io/?sid=s", "/api/v1/drain", "/"} {
		if w := d.knock(func(k *knock) { k.uri = uri }); w.Code != http.StatusBadRequest || d.taken != 0 {
			t.Errorf("%s: %d", uri, w.Code)
		}
	}
	for _, path := range []string{"", "x"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.URL.Path = Path + path
		w := httptest.NewRecorder()
		if d.ServeHTTP(w, r); w.Header().Get(refusalHeader) != string(refusedForm) {
			t.Errorf("%s: %v", r.URL.Path, w.Header())
		}
	}
}

func TestATicketIsTakenOnce(t *testing.T) {
	d := newDoor(t)
	for _, c := range []struct {
		from string
		n    uint64
		want refusal
	}{
		{"one", 5, ""}, {"one", 5, refusedRepeat}, {"two", 5, ""}, {"one", 4, ""}, {"one", 6, ""}, {"one", 4, refusedRepeat},
		{"one", windowSize + 4, ""}, {"one", 5, refusedRepeat}, {"one", 4, refusedRepeat}, {"one", 7, ""}, {"one", 7, refusedRepeat},
		{"one", 1<<64 - 1, ""}, {"one", 1<<64 - 1, refusedRepeat}, {"one", windowSize + 5, refusedRepeat}, {"one", 1<<64 - 2, ""},
		{"two", 6, ""},
	} {
		w := d.knock(func(k *knock) { k.From, k.Sequence = c.from, c.n })
		if got := refusal(w.Header().Get(refusalHeader)); got != c.want {
			t.Errorf("%s %d: %q, want %q", c.from, c.n, got, c.want)
		}
	}
}

func TestNumbersAreRememberedForAsLongAsTheirTicketsAreNew(t *testing.T) {
	var w windows
	now := time.Now()
	for n := range maxSenders {
		if !w.take(string(rune('a'+n)), 1, now) {
			t.Fatal(n)
		}
	}
	if w.take("one too many", 1, now.Add(2*maxSkew)) {
		t.Error("one too many")
	}
	if w.take("a", 1, now.Add(2*maxSkew)) {
		t.Error("forgotten too early")
	}
	if !w.take("another", 1, now.Add(2*maxSkew+1)) || len(w.byName) != 2 {
		t.Errorf("%d are remembered", len(w.byName))
	}
}

func FuzzAWindowTakesEachNumberOnce(f *testing.F) {
	f.Add([]byte{0, 1, 1, 0, 200, 3})
	f.Fuzz(func(t *testing.T, steps []byte) {
		w, seen, at := &window{}, map[uint64]bool{}, uint64(windowSize)
		for _, s := range steps {
			at += uint64(s) * uint64(s) * 7
			n := at - uint64(s)*311
			taken := w.take(n)
			if taken && seen[n] {
				t.Fatalf("%d twice", n)
			}
			if !taken && !seen[n] && w.top-n < windowSize {
				t.Fatalf("%d, behind %d, is not taken", n, w.top)
			}
			seen[n] = seen[n] || taken
		}
	})
}

func TestABodyThatWasNotSignedIsNotTaken(t *testing.T) {
	d := newDoor(t)
	for body, ok := range map[string]bool{"4hello": true, "4hullo": false, "4hell": false, "4hello!": false, "": false} {
		if d.knock(func(k *knock) { k.body = body }); (d.body == nil) != ok {
			t.Errorf("%q: %v", body, d.body)
		}
	}
	// A reader that stops at the length gets no whole body either.
	for _, size := range []int{1, 6, 10} {
		b := newSignedBody(io.NopCloser(strings.NewReader("4hullo")), ticket{Length: 6, Digest: digest([]byte("4hello"))})
		got, buf := 0, make([]byte, size)
		for got < 6 {
			n, err := b.Read(buf)
			if got += n; err != nil {
				if !errors.Is(err, errTampered) {
					t.Error(err)
				}
				break
			}
		}
		if got >= 6 {
			t.Errorf("read %d bytes, %d at a time", got, size)
		}
	}
	empty := newSignedBody(http.NoBody, ticket{Digest: digest(nil)})
	if b, err := io.ReadAll(empty); len(b) != 0 || err != nil {
		t.Errorf("an empty one: %q, %v", b, err)
	}
}

func FuzzNobodyComesInWithoutTheSecret(f *testing.F) {
	d := newDoor(f)
	f.Add("GET", "/peer/socket.io/?sid=homehome.s", "e30", "00")
	f.Add("POST", "/peer", "", "zz")
	f.Add("POST", "/peer//?%zz", strings.Repeat("A", maxTicket+1), strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, method, path, ticket, signature string) {
		r, err := http.NewRequestWithContext(t.Context(), method, path, http.NoBody)
		if err != nil {
			return
		}
		r.Header[ticketHeader], r.Header[signatureHeader] = []string{ticket}, []string{signature}
		w := httptest.NewRecorder()
		if d.ServeHTTP(w, r); w.Code != http.StatusForbidden || d.taken != 0 {
			t.Errorf("%d, %d taken", w.Code, d.taken)
		}
		if signed, ok := decodeTicket(ticket); ok {
			if again, err := signed.encode(); err != nil || again == "" {
				t.Error(err)
			}
		}
	})
}

func TestTheAdminPortGivesOtherInstancesNothingElse(t *testing.T) {
	i := newInstance(t, newRedis(t), setup{})
	until(t, "the secret is known", func() bool { return i.keys.current() != nil })
	base := "http://" + i.admin.AdminAddr().String()
	for path, want := range map[string]int{
		Path + "/socket.io/?sid=" + i.sid("s"): http.StatusForbidden, Path + "/": http.StatusForbidden,
		"/socket.io/?sid=" + i.sid("s"): http.StatusNotFound, "/api/v1/instances": http.StatusNotFound,
	} {
		if a := get(t, base+path); a.status != want {
			t.Errorf("%s: %+v", path, a)
		}
	}
	if got := i.receiver.Stats(); got.Taken != 0 || got.Refused != 2 {
		t.Errorf("stats: %+v", got)
	}
}
