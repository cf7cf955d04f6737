package wire

import (
	"strings"
	"testing"
)

func TestPositionsGoRoundTheText(t *testing.T) {
	for _, tc := range []struct {
		p    Position
		text string
	}{
		{Position{Epoch: 1}, "AAAAAAAB.0.AAAAAAAA"},
		{Position{Epoch: Bits48, Offset: 1, Nonce: Bits48}, "________.1.________"},
		{Position{Epoch: 0xfbf000000001, Offset: 1<<53 - 1, Nonce: 2}, "-_AAAAAB.9007199254740991.AAAAAAAC"},
	} {
		if got := tc.p.String(); got != tc.text {
			t.Errorf("%+v is written %q, want %q", tc.p, got, tc.text)
		}
		back, err := ParsePosition(tc.text)
		if err != nil || back != tc.p {
			t.Errorf("%q is read as %+v, %v", tc.text, back, err)
		}
		appended, err := tc.p.AppendText([]byte("before "))
		if err != nil || string(appended) != "before "+tc.text {
			t.Errorf("appended as %q, %v", appended, err)
		}
	}
}

func TestNoPositionIsWrittenAsNothing(t *testing.T) {
	var p Position
	if !p.IsZero() || p.String() != "" {
		t.Errorf("%v %q", p.IsZero(), p)
	}
	if (Position{Epoch: 1}).IsZero() || (Position{Offset: 1}).IsZero() || (Position{Nonce: 1}).IsZero() {
		t.Error("a position with anything set is no zero position")
	}
}

func TestMalformedPositionsAreErrors(t *testing.T) {
	const good = "AAAAAAAB.7.AAAAAAAC"
	if _, err := ParsePosition(good); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"empty":                        "",
		"a word":                       "latest",
		"one part":                     "AAAAAAAB",
		"two parts":                    "AAAAAAAB.7",
		"four parts":                   good + ".x",
		"empty parts":                  "..",
		"epoch zero":                   "AAAAAAAA.7.AAAAAAAC",
		"a short epoch":                "AAAAAAB.7.AAAAAAAC",
		"a long epoch":                 "AAAAAAAAB.7.AAAAAAAC",
		"a short nonce":                "AAAAAAAB.7.AAAAAAC",
		"a long nonce":                 "AAAAAAAB.7.AAAAAAAAC",
		"the standard alphabet":        "AAAAAA+/.7.AAAAAAAC",
		"padding":                      "AAAAAA==.7.AAAAAAAC",
		"no offset":                    "AAAAAAAB..AAAAAAAC",
		"a sign":                       "AAAAAAAB.+7.AAAAAAAC",
		"a negative offset":            "AAAAAAAB.-7.AAAAAAAC",
		"a leading zero":               "AAAAAAAB.07.AAAAAAAC",
		"a fraction":                   "AAAAAAAB.7e1.AAAAAAAC",
		"a hexadecimal offset":         "AAAAAAAB.0x7.AAAAAAAC",
		"an underscore in the offset":  "AAAAAAAB.1_0.AAAAAAAC",
		"an offset no JSON reader has": "AAAAAAAB.9007199254740992.AAAAAAAC",
		"an offset over 64 bits":       "AAAAAAAB.99999999999999999999.AAAAAAAC",
		"space before":                 " " + good,
		"space after":                  good + " ",
		"a line break in the epoch":    "BAAA\nAAA.7.AAAAAAAC",
		"a line break in the nonce":    "AAAAAAAB.7.\rAAAAAAA",
		"only line breaks":             "AAAAAAAB.7.\n\n\n\n\n\n\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := ParsePosition(s); err == nil || !p.IsZero() {
				t.Errorf("%q is read as %+v, %v", s, p, err)
			}
		})
	}
}

func FuzzPosition(f *testing.F) {
	for _, s := range []string{"AAAAAAAB.7.AAAAAAAC", "________.9007199254740991.________", "AAAA\nAAB.0.AAAAAAAA", "..", "x.1.y"} {
		f.Add(s, uint64(1), uint64(2), uint64(3))
	}
	f.Fuzz(func(t *testing.T, s string, epoch, offset, nonce uint64) {
		// What is read has one spelling: the one it was read from.
		if p, err := ParsePosition(s); err == nil && p.String() != s {
			t.Fatalf("%q is read as %+v, which is written %q", s, p, p)
		}
		p := Position{Epoch: epoch & Bits48, Offset: offset >> 11, Nonce: nonce & Bits48}
		if p.Epoch == 0 {
			p.Epoch = 1
		}
		back, err := ParsePosition(p.String())
		if err != nil || back != p {
			t.Fatalf("%+v is written %q and read as %+v, %v", p, p, back, err)
		}
		if strings.Trim(p.String(), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			t.Fatalf("%q needs escaping in a URL", p)
		}
	})
}

func BenchmarkPosition(b *testing.B) {
	p := Position{Epoch: 0x123456789abc, Offset: 123456, Nonce: 0xcba987654321}
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = p.AppendText(buf[:0])
	}
}
