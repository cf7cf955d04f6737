package bridge

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"go.uber.org/zap"
)

const (
	// batchEvents bounds the events of one request.
	batchEvents = 100
	// firstBackoff and lastBackoff bound the wait after a request that failed;
	// each is twice the one before.
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// webhookAnswer is how much of an answer is read, so that its connection
	// can be used again.
	webhookAnswer = 4 << 10
)

// batch is what one request tells.
type batch struct {
	events [][]byte
	lost   int64 // how many before them were dropped
}

// send is the sender: one request at a time, so that what happened first is
// told first. It ends once Shutdown was called and the queue is empty, or its
// context has ended.
func (w *Webhooks) send() {
	for w.ctx.Err() == nil {
		b := w.take()
		switch {
		case b.events != nil:
			w.deliver(b)
		case w.quitting():
			return
		default:
			select {
			case <-w.wake:
			case <-w.quit:
			}
		}
	}
}

// take takes the oldest events.
func (w *Webhooks) take() batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := batch{lost: w.lost}
	for w.count > 0 && len(b.events) < batchEvents {
		b.events = append(b.events, w.takeLocked())
	}
	return b
}

// deliver sends a batch until it is taken, or has been tried for too long.
func (w *Webhooks) deliver(b batch) {
	body := w.body(b)
	begin, wait := time.Now(), firstBackoff
	for {
		err := w.post(body)
		w.noteResult(err)
		if err == nil {
			w.delivered(b)
			return
		}
		if time.Since(begin) >= w.cfg.WebhookRetryFor || w.backoff(wait) != nil {
			w.gaveUp(b, err)
			return
		}
		w.retry()
		if wait == firstBackoff {
			w.log.Warn("webhooks: not delivered yet", zap.Error(err))
		}
		wait = min(2*wait, lastBackoff)
	}
}

// backoff waits before the next attempt; during Shutdown no longer than the
// first time. It returns the context's error once there is no more time.
func (w *Webhooks) backoff(wait time.Duration) error {
	if w.quitting() {
		return pause(w.ctx, firstBackoff)
	}
	timer := time.NewTimer(jitter(wait))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.quit:
	case <-w.ctx.Done():
	}
	return w.ctx.Err()
}

func (w *Webhooks) quitting() bool {
	select {
	case <-w.quit:
		return true
	default:
		return false
	}
}

// post sends one request. Any answer of 2xx means that the events were taken.
func (w *Webhooks) post(body []byte) error {
	ctx, cancel := context.WithTimeout(w.ctx, w.cfg.WebhookTimeout)
	defer cancel()
	r, err := w.client.post(ctx, w.cfg.WebhookURL, body, webhookAnswer)
	switch {
	case err != nil:
		return err
	case r.status < 200 || r.status > 299:
		return fmt.Errorf("the receiver answered %d", r.status)
	}
	return nil
}

// body is {"instance", "dropped", "events"}.
func (w *Webhooks) body(b batch) []byte {
	out := field(nil, '{', "instance", w.cfg.Instance)
	out = append(out, `,"dropped":`...)
	out = strconv.AppendInt(out, b.lost, 10)
	out = append(out, `,"events":[`...)
	out = append(out, bytes.Join(b.events, []byte{','})...)
	return append(out, "]}"...)
}

func (w *Webhooks) delivered(b batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.totals.Delivered += int64(len(b.events))
	w.lost -= b.lost
}

// noteResult keeps what became of the last request, for health.
func (w *Webhooks) noteResult(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = err
}

// Err is why the last request failed, nil if it did not.
func (w *Webhooks) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fault
}

func (w *Webhooks) retry() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.totals.Retries++
}

func (w *Webhooks) gaveUp(b batch, err error) {
	w.mu.Lock()
	w.dropLocked(int64(len(b.events)))
	w.mu.Unlock()
	w.log.Error("webhooks: events were dropped", zap.Int("events", len(b.events)), zap.Error(err))
}
