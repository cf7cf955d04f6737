package report

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/moonx-farm/ws-gateway/cmd/wsbench/internal/hdr"
)

// faster is example with twice the deliveries and half the latency.
func faster() *Result {
	r := example()
	r.Parameters = map[string]any{"members": 2000, "pid": 7, "rate": 10}
	r.Runs[0].Figures[0].Value *= 2
	r.Runs[0].Latencies[0].Summary = hdr.Summary{Count: 1, P50: time.Millisecond / 2, Max: time.Second}
	r.Run("only here")
	return r
}

func TestComparingShowsRatiosAndWhatDiffers(t *testing.T) {
	var b strings.Builder
	bad := faster()
	bad.Check(false, "nothing lost", "")
	if err := Compare(&b, example(), bad, "a.json", "b.json"); err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`  +`).ReplaceAllString(b.String(), "  ")
	for _, want := range []string{
		"wsbench fanout  a.json  b.json  ratio", "gateway: deliveries/s  1,234,567  2,469,134  2.000", "writev: deliveries/s  2,469,134  2,469,134  1.000",
		"gateway: latency p50  1ms  500µs  0.500", "gateway: latency mean  0s  0s  -", "differs: -members  1000  2000", "differs: -rate  -  10",
		"only in b.json: only here", "careful: in b.json a check failed",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "-pid") {
		t.Errorf("process ids say nothing:\n%s", got)
	}
}

func TestAResultThatHasBeenInAFileDiffersInNothing(t *testing.T) {
	var file, out bytes.Buffer
	r := example()
	if err := r.WriteJSON(&file); err != nil {
		t.Fatal(err)
	}
	back, err := Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	if err := Compare(&out, r, back, "a", "b"); err != nil || strings.Contains(out.String(), "differs") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestResultsOfDifferentScenariosAreNotCompared(t *testing.T) {
	if err := Compare(&strings.Builder{}, example(), New("idle", nil), "a", "b"); err == nil {
		t.Error("compared")
	}
}

func TestWhatIsNoResultIsNotRead(t *testing.T) {
	for _, text := range []string{"", "[]", "{", "{}", `{"scenario":"idle","runs":[null]}`, `{"scenario":5}`} {
		if r, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%q: %+v", text, r)
		}
	}
}
