//go:build linux

package workers

import (
	"context"
	"fmt"
)

// crossing is the outcome of what was to be done at a border.
type crossing struct {
	numbers []int64
	err     error
}

// atBorder begins what is to be done once all workers wait at one border,
// unless one is being crossed already.
func (r *run) atBorder(ctx context.Context, already chan crossing) chan crossing {
	if already != nil || r.stopping {
		return already
	}
	border := r.meeting()
	if border == "" {
		return nil
	}
	done := make(chan crossing, 1)
	go func() { // ends with ctx at the latest; lead waits for it
		var c crossing
		if r.plan.AtBorder != nil {
			c.numbers, c.err = r.plan.AtBorder(ctx, border)
		}
		done <- c
	}()
	return done
}

// meeting is the border at which all workers wait; "" if they do not.
func (r *run) meeting() string {
	border := ""
	for _, h := range r.hands {
		switch {
		case h.ended:
		case h.border == "":
			return ""
		case border != "" && h.border != border:
			r.stop(fmt.Errorf("workers wait for each other at different borders: %s and %s", border, h.border))
			return ""
		default:
			border = h.border
		}
	}
	return border
}

// cross lets all go on.
func (r *run) cross(c crossing) {
	if c.err != nil {
		r.stop(c.err)
		return
	}
	for i, h := range r.hands {
		var number int64
		if i < len(c.numbers) {
			number = c.numbers[i]
		}
		h.border = ""
		_ = h.in.Encode(order{Go: &number}) // a worker that has ended will be noticed
	}
}
