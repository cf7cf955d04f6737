package artefacts

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moonx-farm/ws-gateway/config"
)

func TestTheImageIsBuiltOfWhatThereIs(t *testing.T) {
	text := string(read(t, "Dockerfile"))
	var mod []string
	for _, m := range regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindAllStringSubmatch(string(read(t, "go.mod")), -1) {
		mod = append(mod, "golang:"+m[1]+"-bookworm")
	}
	cfg, err := config.Load(nil, "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(mod,
		"USER 65532:65532", fmt.Sprintf("EXPOSE %d %d", cfg.Server.Port, cfg.Server.AdminPort),
		`CMD ["/gateway", "healthcheck"]`, `ENTRYPOINT ["/gateway"]`, "CGO_ENABLED=0", "--mount=type=cache", "main.version=$VERSION",
		"GOOS=$TARGETOS GOARCH=$TARGETARCH",
	) {
		if !strings.Contains(text, want) {
			t.Errorf("Dockerfile has no %s", want)
		}
	}
	ignored := strings.Fields(string(read(t, ".dockerignore")))
	for _, m := range regexp.MustCompile(`(?m)^COPY ([a-zA-Z/.]+(?: [a-zA-Z/.]+)*) \S+$`).FindAllStringSubmatch(text, -1) {
		for from := range strings.FieldsSeq(m[1]) {
			if !slices.Contains(ignored, "!"+from) {
				t.Errorf("%s is copied and ignored", from)
			}
		}
	}
}
