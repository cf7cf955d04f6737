package httpapi

import (
	"time"

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
	n, err := a.parts.Membership.Subscribe(r.Context(), to, room)
	if err != nil && n == 0 {
		return nil, err
	}
	out := affected{Connections: n}
	if err != nil {
		p := a.problemOf(err)
		out.Problem = &p
	}
	return out, nil
}

// unsubscribe handles POST /unsubscribe {user | connection, room}.
func (a *API) unsubscribe(r *request) (any, error) {
	var room string
	from, err := target(r, &room)
	if err != nil {
		return nil, err
	}
	n, err := a.parts.Membership.Unsubscribe(from, room)
	if err != nil {
		return nil, err
	}
	return affected{Connections: n}, nil
}

// disconnect handles POST /disconnect {user | connection}.
func (a *API) disconnect(r *request) (any, error) {
	to, err := target(r, nil)
	switch {
	case err != nil:
		return nil, err
	case to.User != "":
		return affected{Connections: a.parts.Removal.DisconnectUser(to.User)}, nil
	case !a.parts.Removal.Disconnect(to.Connection):
		return nil, errNoConnection
	}
	return affected{Connections: 1}, nil
}

// revoke handles POST /revoke {user, until? | token}.
func (a *API) revoke(r *request) (any, error) {
	var user, token string
	var until time.Time
	err := r.object(fields{
		"user": userID(&user), "until": moment("until", &until), "token": text("token", maxToken, &token),
	})
	var n int
	switch {
	case err != nil:
	case (user == "") == (token == ""), token != "" && !until.IsZero():
		err = errRevoke
	case user != "":
		n, err = a.parts.Removal.RevokeUser(user, until)
	default:
		n, err = a.parts.Removal.RevokeToken(token)
	}
	if err != nil {
		return nil, err
	}
	return affected{Connections: n}, nil
}
