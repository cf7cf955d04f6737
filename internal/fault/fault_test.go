package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/moonx-farm/ws-gateway/internal/wire"
)

func TestTheTableHasARowForEveryCodeInItsOrder(t *testing.T) {
	rows, codes := Table(), wire.Codes()
	if len(rows) != len(codes) {
		t.Fatalf("%d rows for %d codes", len(rows), len(codes))
	}
	for i, row := range rows {
		if row.Code != codes[i] || RowOf(row.Code) != row {
			t.Errorf("row %d is of %s, want %s", i, row.Code, codes[i])
		}
		if row.Close.String() == "other" {
			t.Errorf("%s closes with %d, which wire does not know", row.Code, row.Close)
		}
		if http.StatusText(row.Status) == "" || row.Status < 400 {
			t.Errorf("%s has the status %d", row.Code, row.Status)
		}
		if (row.Level >= zapcore.WarnLevel) != (row.Status >= 500) {
			t.Errorf("%s has the status %d and the level %s: what is not the client's fault is loud, what is, is not", row.Code, row.Status, row.Level)
		}
		if bye := row.Goodbye(); bye.Code != row.Close || bye.Reason != string(row.Code) {
			t.Errorf("%s says goodbye with %+v", row.Code, bye)
		}
		// Who may repeat a request may also come back, and who may not must not
		// be told to.
		if later := row.Close.Reconnect() != wire.ReconnectNever; later != row.Retry() {
			t.Errorf("%s: retry %v, reconnect %v", row.Code, row.Retry(), later)
		}
	}
	if RowOf("new").Code != wire.Internal || RowOf("").Code != wire.Internal {
		t.Error("an unknown code is not internal")
	}
}

func TestTheReadmeShowsTheTable(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range Table() {
		line := fmt.Sprintf("\n| `%s` | %d | %s |\n", row.Code, row.Status, map[bool]string{true: "yes", false: "no"}[row.Retry()])
		if !strings.Contains(string(text), line) {
			t.Errorf("the README has no line %q", strings.TrimSpace(line))
		}
	}
}

func TestTheTableIsNobodysToChange(t *testing.T) {
	Table()[0].Status = 200
	if Table()[0].Status != 400 {
		t.Error("Table shares its rows")
	}
}

type told struct{}

func (told) Error() string     { return "10.0.0.7 said so" }
func (told) Told() *wire.Error { return wire.NewError(wire.InsufficientState, "not that far") }

func TestClientsAreToldWhatAnErrorIsAndNothingMore(t *testing.T) {
	conflict := wire.NewError(wire.Conflict, "the key was used")
	for name, c := range map[string]struct {
		err  error
		code wire.Code
	}{
		"one for clients":          {conflict, wire.Conflict},
		"one for clients, wrapped": {fmt.Errorf("publish to 10.0.0.7: %w", conflict), wire.Conflict},
		"one that says it itself":  {fmt.Errorf("read 10.0.0.7: %w", told{}), wire.InsufficientState},
		"an open breaker":          {fmt.Errorf("call 10.0.0.7: %w", ErrOpen), wire.Unavailable},
		"a time-out":               {fmt.Errorf("dial 10.0.0.7: %w", context.DeadlineExceeded), wire.Unavailable},
		"a cancelled call":         {fmt.Errorf("dial 10.0.0.7: %w", context.Canceled), wire.Unavailable},
		"anything else":            {errors.New("dial 10.0.0.7: connection refused"), wire.Internal},
	} {
		got := Of(c.err)
		if got.Code != c.code || got.Message == "" {
			t.Errorf("%s: %v", name, got)
		}
		for _, internal := range []string{"10.0.0.7", "said so"} {
			if strings.Contains(got.Message, internal) {
				t.Errorf("%s: the client reads %q", name, got.Message)
			}
		}
	}
	if Of(nil) != nil {
		t.Error("no error became one")
	}
}

func TestErrorsAreLoggedAtTheLevelOfTheirRow(t *testing.T) {
	for _, row := range Table() {
		core, logs := observer.New(zapcore.DebugLevel)
		err := fmt.Errorf("ask: %w", wire.NewError(row.Code, "why"))
		if got := NewReporter(zap.New(core)).Report(err, zap.String("connection", "c1")); got.Code != row.Code {
			t.Errorf("%s became %s", row.Code, got.Code)
		}
		all := logs.All()
		if len(all) != 1 || all[0].Level != row.Level || all[0].ContextMap()["connection"] != "c1" || all[0].ContextMap()["error"] != err.Error() {
			t.Errorf("%s: %+v", row.Code, all)
		}
	}
}

func TestAFloodOfOneFaultLeavesAFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		r := NewReporter(zap.New(core))
		for range 1000 {
			_ = r.Report(io.ErrUnexpectedEOF)
			_ = r.Report(wire.NewError(wire.Forbidden, "no"))
		}
		_ = r.Report(ErrOpen) // another code is not crowded out
		if n := logs.FilterMessage("request failed: internal").Len(); n != reportBurst {
			t.Errorf("%d lines for one fault", n)
		}
		if n := logs.FilterMessage("request failed: unavailable").Len(); n != 1 {
			t.Errorf("%d lines for the other", n)
		}
		if logs.Len() != reportBurst+1 {
			t.Errorf("%d lines", logs.Len())
		}
		time.Sleep(time.Second)
		_ = r.Report(io.ErrUnexpectedEOF)
		all := logs.All()
		if last := all[len(all)-1].ContextMap(); last["leftOut"] != int64(1000-reportBurst) {
			t.Errorf("the next second says %v", last)
		}
	})
}
