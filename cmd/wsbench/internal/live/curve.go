//go:build linux

package live

import (
	"strings"
	"unicode/utf8"
)

// curve is the last values of something, drawn one column each.
type curve struct{ values []float64 }

func (c *curve) add(v float64) {
	if c.values = append(c.values, v); len(c.values) > history {
		c.values = c.values[1:]
	}
}

// some reports whether there is anything but zeros.
func (c *curve) some() bool {
	for _, v := range c.values {
		if v > 0 {
			return true
		}
	}
	return false
}

// draw shows the last values, from 0 to the largest of them.
func (c *curve) draw(cells int) string {
	shown := c.values[max(len(c.values)-cells, 0):]
	top := 0.0
	for _, v := range shown {
		top = max(top, v)
	}
	steps := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range shown {
		switch {
		case v <= 0 || top == 0:
			b.WriteByte(' ')
		default:
			b.WriteRune(steps[min(int(v/top*float64(len(steps))), len(steps)-1)])
		}
	}
	return b.String()
}

// columns is the width of text without escapes; all its runes are one wide.
func columns(text string) int { return utf8.RuneCountInString(text) }

// clip cuts text to a number of columns.
func clip(text string, width int) string {
	if columns(text) <= width {
		return text
	}
	return string([]rune(text)[:max(width, 0)])
}

// ink colours text, unless it must be plain.
type ink struct{ plain bool }

func (k ink) paint(code, text string) string {
	if k.plain || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (k ink) bold(text string) string  { return k.paint("1", text) }
func (k ink) dim(text string) string   { return k.paint("2", text) }
func (k ink) red(text string) string   { return k.paint("31", text) }
func (k ink) green(text string) string { return k.paint("32", text) }
func (k ink) cyan(text string) string  { return k.paint("36", text) }
