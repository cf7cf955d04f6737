package examples

import (
	"strconv"
	"testing"
	"time"
)

func TestTheTickerLeavesOutWhatABusyPageNeedNotSee(t *testing.T) {
	t.Parallel()
	e := newExample(t, "ticker")
	e.seen = cable(t, e.public)
	e.run()
	page := openTab(t, e.page)
	number := func(id string) int {
		n, err := strconv.Atoi(page.Text(id))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	until(t, "prices come", func() bool { return page.Count("#prices tr") == 10 })
	// A machine that is busy itself may publish little while the page is.
	until(t, "some are left out", func() bool {
		page.Click("#busy button")
		for begun := time.Now(); number("#skipped") == 0 && time.Since(begun) < patience/6; time.Sleep(20 * time.Millisecond) {
		}
		return number("#skipped") > 0
	})
	before := number("#received")
	until(t, "prices come again", func() bool { return number("#received") > before })
	page.untilShown("#state", "open")
}
