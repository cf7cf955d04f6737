package examples

import (
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/test/testbed/browser"
)

func TestTheChatCarriesMessagesBetweenPagesAndOverARestart(t *testing.T) {
	t.Parallel()
	e := runExample(t, "chat", nil)
	ann := openTab(t, e.page)
	ann.enter("#name", "ann")
	ann.untilShown("#members", "ann")
	if browser.Eval[bool](ann.Tab, `document.querySelector('#enter').offsetParent !== null`) {
		t.Error("the form to enter is still to be seen")
	}
	ann.enter("#text", "Is <b>anybody</b> here?")
	ann.untilShown("#messages", "ann: Is <b>anybody</b> here?")

	bob := ann.another(e.page)
	bob.enter("#name", "bob")
	bob.untilShown("#messages", "ann: Is <b>anybody</b> here?") // from before he came
	bob.enter("#text", "I am.")
	for _, page := range []*tab{ann, bob} {
		page.untilShown("#messages", "ann: Is <b>anybody</b> here?\nbob: I am.")
		page.untilShown("#members", "ann, bob")
	}

	e.gateway.kill()
	for _, page := range []*tab{ann, bob} {
		until(t, "the page says that it is away", func() bool { return page.Text("#state") != "" })
	}
	bob.enter("#text", "Still here?") // waits for the gateway
	e.startGateway()
	for _, page := range []*tab{ann, bob} {
		page.untilShown("#state", "")
		until(t, "the message has come", func() bool {
			return strings.Contains(page.Text("#messages"), "bob: Still here?")
		})
	}
}
