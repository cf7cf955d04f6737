package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxCall = 1 << 20         // of a call's body, in bytes
	maxAge  = 5 * time.Minute // of a signature
)

// call is an event of a client, as the gateway tells it.
type call struct {
	CallID string          `json:"callId"` // the same when the call is repeated
	Event  string          `json:"event"`
	User   string          `json:"user"` // authenticated by the gateway
	Data   json.RawMessage `json:"data"`
}

// route answers the gateway's calls. Immutable.
type route struct {
	secret []byte
	shop   *shop
}

// ServeHTTP implements http.Handler. Its answer is what the client gets.
func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "too_large", "Too large.")
		return
	}
	if !signed(r.Header.Get("Gateway-Signature"), body, rt.secret, time.Now()) {
		http.Error(w, "not signed by the gateway", http.StatusUnauthorized)
		return
	}
	var c call
	if err := json.Unmarshal(body, &c); err != nil {
		refuse(w, http.StatusBadRequest, "malformed", "Malformed.")
		return
	}
	switch c.Event {
	case "order:create":
		rt.create(w, c)
	case "order:list":
		answer(w, http.StatusOK, rt.shop.of(c.User))
	default:
		refuse(w, http.StatusNotFound, "unknown_event", "There is no such event.")
	}
}

func (rt *route) create(w http.ResponseWriter, c call) {
	var wanted struct {
		SKU string `json:"sku"`
	}
	if err := json.Unmarshal(c.Data, &wanted); err != nil {
		refuse(w, http.StatusBadRequest, "malformed", "Malformed.")
		return
	}
	placed, err := rt.shop.place(c.CallID, c.User, wanted.SKU)
	switch {
	case errors.Is(err, errNotSold):
		// "reason" and "message" of the error that the client gets.
		refuse(w, http.StatusUnprocessableEntity, "not_sold", "We do not sell that.")
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, "closed", "Closed.")
	default:
		answer(w, http.StatusOK, placed)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails when the gateway has gone: it asks again
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]string{"code": code, "message": message})
}

// signed tells whether the gateway has signed a body, not long ago. A header has
// a signature for each of its secrets: "t=1767225600,v1=5257a8…,v1=…".
func signed(header string, body, secret []byte, now time.Time) bool {
	var stamp string
	var signatures []string
	for part := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "t":
			stamp = value
		case "v1":
			signatures = append(signatures, value)
		}
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > maxAge {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	want := hex.EncodeToString(mac.Sum(nil))
	for _, signature := range signatures {
		if hmac.Equal([]byte(signature), []byte(want)) {
			return true
		}
	}
	return false
}
