package redisbroker

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAConnectionOnWhichAnythingComesIsNotSilentForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &link{}
		l.heard()
		for range 28 { // confirmations come, and the canaries stay behind them
			time.Sleep(time.Second)
			l.heardAt.Store(time.Now().UnixNano())
			if l.silent() {
				t.Fatal("silent although something came just now")
			}
		}
		time.Sleep(silentMost + time.Millisecond)
		if !l.silent() {
			t.Error("not silent although nothing has come for long")
		}
		l.heard()
		if l.silent() {
			t.Error("silent although its canary came")
		}
		for range canaryMost / time.Second {
			time.Sleep(time.Second)
			l.heardAt.Store(time.Now().UnixNano())
		}
		time.Sleep(time.Millisecond)
		if !l.silent() {
			t.Error("not silent although its canary never comes")
		}
	})
}
