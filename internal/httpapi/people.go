package httpapi

import (
	"time"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/problem"
	"github.com/moonx-farm/ws-gateway/internal/router"
)

// maxToken is the longest token that can be revoked.
const maxToken = 16 << 10

// affected is how many connections a request has reached.
type affected struct {
	Connections int `json:"connections"`
	// Problem is why not all of them, nil if so.
	Problem *problem.Problem `json:"problem,omitempty"`
	// Missing are instances that did not answer.
	Missing []string `json:"missing,omitempty"`
}

// reached answers with what a request has done.
func (a *API) reached(r fleet.Reached, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	out := affected{Connections: r.Connections, Missing: r.Missing}
	if r.Fault != nil {
		p := a.problemOf(r.Fault)
		out.Problem = &p
	}
	return out, nil
}

// target reads whom a request means, and a room if it wants one.
func target(r *request, room *string) (router.Target, error) {
	var to router.Target
	known := fields{
		"user":       userID(&to.User),
		"connection": text("connection", maxConnectionID, &to.Connection),
	}
	if room != nil {
		known["room"] = roomName(room)
	}
	switch err := r.object(known); {
	case err != nil:
		return to, err
	case (to.User == "") == (to.Connection == ""):
		return to, errWhom
	case room != nil && *room == "":
		return to, errRoom
	}
	return to, nil
}

// subscribe handles POST /subscribe {user | connection, room}. Some of a
// user's connections may become members, and others not.
func (a *API) subscribe(r *request) (any, error) {
	var room string
	to, err := target(r, &room)
	if err != nil {
		return nil, err
	}
	return a.reached(a.parts.Membership.Subscribe(r.Context(), to, room))
}

// unsubscribe handles POST /unsubscribe {user | connection, room}.
func (a *API) unsubscribe(r *request) (any, error) {
	var room string
	from, err := target(r, &room)
	if err != nil {
		return nil, err
	}
	return a.reached(a.parts.Membership.Unsubscribe(r.Context(), from, room))
}

// disconnect handles POST /disconnect {user | connection}.
func (a *API) disconnect(r *request) (any, error) {
	to, err := target(r, nil)
	if err != nil {
		return nil, err
	}
	return a.reached(a.parts.Removal.Disconnect(r.Context(), to))
}

// revoke handles POST /revoke {user, until? | token}.
func (a *API) revoke(r *request) (any, error) {
	var user, token string
	var until time.Time
	err := r.object(fields{
		"user": userID(&user), "until": moment("until", &until), "token": text("token", maxToken, &token),
	})
	switch {
	case err != nil:
		return nil, err
	case (user == "") == (token == ""), token != "" && !until.IsZero():
		return nil, errRevoke
	case user != "":
		return a.reached(a.parts.Removal.RevokeUser(r.Context(), user, until))
	}
	return a.reached(a.parts.Removal.RevokeToken(r.Context(), token))
}
