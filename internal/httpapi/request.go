package httpapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/moonx-farm/ws-gateway/internal/auth"
	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/jsonscan"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// The pages of listings.
const (
	defaultPage = 100
	maxPage     = 1000
)

// request is one request on its way through a handler.
type request struct {
	*http.Request
	w       http.ResponseWriter
	maxBody int
}

// object reads the body, which is one JSON object, field by field. There is no
// query beside it.
func (r *request) object(known fields) error {
	body, err := r.body()
	if err == nil {
		err = r.query(nil)
	}
	if err != nil {
		return err
	}
	return known.read(body)
}

// body reads the body.
func (r *request) body() ([]byte, error) {
	if !r.carriesJSON() {
		return nil, errMediaType
	}
	body, err := io.ReadAll(http.MaxBytesReader(r.w, r.Body, int64(r.maxBody)))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, wire.NewError(wire.TooLarge, "the body has more than "+strconv.Itoa(r.maxBody)+" bytes (API_MAX_BODY_BYTES)")
	case err != nil:
		return nil, errBody // the client stopped sending it
	case !utf8.Valid(body): // what is published goes out in text frames
		return nil, errBody
	}
	return body, nil
}

// query reads the parameters of the query: each one known, and there once.
func (r *request) query(known map[string]func(string) error) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errQuery
	}
	for name, all := range values {
		set := known[name]
		if set == nil || len(all) != 1 || !utf8.ValidString(all[0]) {
			return wire.NewError(wire.InvalidMessage, "the query has an unknown parameter, or one twice")
		}
		if err := set(all[0]); err != nil {
			return err
		}
	}
	return nil
}

// carriesJSON tells whether the body is JSON in UTF-8, and not compressed.
func (r *request) carriesJSON() bool {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, given := params["charset"]
	return err == nil && kind == "application/json" && (!given || strings.EqualFold(charset, "utf-8")) &&
		r.Header.Get("Content-Encoding") == ""
}

// page is the part of a listing that is asked for.
type page struct{ fleet.Page }

// parameters are those of a page.
func (p *page) parameters() map[string]func(string) error {
	p.Limit = defaultPage
	return map[string]func(string) error{"after": word(&p.After), "limit": p.size}
}

func (p *page) size(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxPage {
		return wire.NewError(wire.InvalidMessage, "limit is an integer from 1 to 1000")
	}
	p.Limit = n
	return nil
}

// word takes a parameter as it is.
func word(to *string) func(string) error {
	return func(s string) error { *to = s; return nil }
}

// user is the user in the path.
func (r *request) user() (string, error) {
	id := r.PathValue("user")
	return id, checkUser(id)
}

// room is the room in the path.
func (r *request) room() (string, error) {
	room := r.PathValue("room")
	if !wire.ValidRoom(room) {
		return "", errRoom
	}
	return room, nil
}

// checkUser tells whether anybody, a guest included, may have an id.
func checkUser(id string) error {
	if id == "" || len(id) > auth.MaxUserID || !utf8.ValidString(id) {
		return errUser
	}
	return nil
}

// fields are the fields that an object may have, and what takes their values.
type fields map[string]func(raw []byte) error

// read reads an object: every field known, and there once.
func (known fields) read(object []byte) error {
	seen := make(map[string]bool, len(known))
	o := jsonscan.Object(object)
	for o.Next() {
		key := string(o.Key)
		set := known[key]
		switch {
		case set == nil:
			return wire.NewError(wire.InvalidMessage, "the object has a field that this request does not know")
		case seen[key]:
			return wire.NewError(wire.InvalidMessage, strconv.Quote(key)+" stands twice")
		}
		seen[key] = true
		if err := set(o.Value); err != nil {
			return err
		}
	}
	if o.Err() != nil {
		return errBody
	}
	return nil
}
