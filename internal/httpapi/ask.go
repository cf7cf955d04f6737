package httpapi

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/moonx-farm/ws-gateway/internal/fleet"
	"github.com/moonx-farm/ws-gateway/internal/problem"
	"github.com/moonx-farm/ws-gateway/internal/router"
	"github.com/moonx-farm/ws-gateway/internal/wire"
)

// defaultWait is how long clients may take to answer.
const defaultWait = 5 * time.Second

// Asker asks clients.
type Asker interface {
	Ask(ctx context.Context, to router.Target, q fleet.Question) (fleet.Answers, error)
}

var errWait = wire.NewError(wire.InvalidMessage, `"timeoutMs" is an integer from 1000 to 30000`)

// wait takes a time for answers, in milliseconds.
func wait(to *time.Duration) func([]byte) error {
	return func(raw []byte) error {
		ms, err := strconv.Atoi(string(raw))
		if err != nil || ms < int(fleet.MinWait.Milliseconds()) || ms > int(fleet.MaxWait.Milliseconds()) {
			return errWait
		}
		*to = time.Duration(ms) * time.Millisecond
		return nil
	}
}

// reply is what a connection has answered.
type reply struct {
	Connection string          `json:"connection"`
	Data       json.RawMessage `json:"data"`
}

// silence is a connection that has not.
type silence struct {
	Connection string        `json:"connection"`
	Reason     fleet.Silence `json:"reason"`
}

// asked is what came of a question.
type asked struct {
	Answers    []reply   `json:"answers"`
	Unanswered []silence `json:"unanswered"`
	// Problem is why others were not asked, nil if there are none.
	Problem *problem.Problem `json:"problem,omitempty"`
	// Missing are instances that did not say whom they asked.
	Missing []string `json:"missing,omitempty"`
}

// ask handles POST /ask {user | connection, event, data?, timeoutMs?}.
func (a *API) ask(r *request) (any, error) {
	var to router.Target
	q := fleet.Question{Wait: defaultWait}
	err := r.object(fields{
		"user":       userID(&to.User),
		"connection": text("connection", maxConnectionID, &to.Connection),
		"event":      text("event", wire.MaxEventName, &q.Event),
		"data":       value("data", a.cfg.MaxData, &q.Data),
		"timeoutMs":  wait(&q.Wait),
	})
	switch {
	case err != nil:
		return nil, err
	case (to.User == "") == (to.Connection == ""):
		return nil, errWhom
	}
	got, err := a.parts.Asker.Ask(r.Context(), to, q)
	if err != nil {
		return nil, err
	}
	return a.answersOf(got), nil
}

// answersOf is what is told of a question.
func (a *API) answersOf(got fleet.Answers) asked {
	out := asked{Answers: []reply{}, Unanswered: []silence{}, Missing: got.Missing}
	for _, one := range got.Answers {
		switch {
		case one.Silence != "":
			out.Unanswered = append(out.Unanswered, silence{one.Connection, one.Silence})
		case one.Data == nil:
			out.Answers = append(out.Answers, reply{one.Connection, json.RawMessage("null")})
		default:
			out.Answers = append(out.Answers, reply{one.Connection, one.Data})
		}
	}
	if got.Fault != nil {
		p := a.problemOf(got.Fault)
		out.Problem = &p
	}
	return out
}
