package bridge

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestTheReadmesReceiverVerifiesSignatures runs the README's own words.
func TestTheReadmesReceiverVerifiesSignatures(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, found := strings.Cut(string(readme), "```python\n")
	code, _, closed := strings.Cut(code, "```")
	if !found || !closed || !strings.Contains(code, "def verify(") {
		t.Fatal("the README verifies nothing")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("this test runs the README's Python, and there is no python3 in PATH: install it (Debian and Ubuntu: apt-get install python3)")
	}
	now := time.Unix(1767225600, 0)
	body := `{"n": "ä\""}`
	header := signature([]string{"an older secret", secret}, now, []byte(body))
	for name, tc := range map[string]struct {
		header, body string
		later        int
		want         string
	}{
		"as it was sent":      {header, body, 10, "True"},
		"another body":        {header, body + " ", 10, "False"},
		"another time":        {strings.Replace(header, "t=1767225600", "t=1767225601", 1), body, 10, "False"},
		"another signature":   {header[:len(header)-1] + "x", body, 10, "False"},
		"sent again later":    {header, body, 301, "False"},
		"no signature at all": {"t=1767225600", body, 10, "False"},
		"by one secret":       {signature([]string{secret}, now, []byte(body)), body, -299, "True"},
	} {
		t.Run(name, func(t *testing.T) {
			program := code + "\nimport sys\nprint(verify(sys.argv[1], sys.argv[2].encode(), sys.argv[3], float(sys.argv[4])))\n"
			out, err := exec.CommandContext(t.Context(), python, "-c", program, tc.header, tc.body, secret,
				fmt.Sprint(now.Unix()+int64(tc.later))).CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != tc.want {
				t.Errorf("%s, %v; want %s", out, err, tc.want)
			}
		})
	}
}
