package shard

import (
	"errors"
	"testing"
	"time"
)

func TestReadingThatFailsForLongIsSaid(t *testing.T) {
	var r reading
	now := time.Unix(1000, 0)
	for range 10 { // an accident now and then
		r.failed(now, errors.New("away"))
		now = now.Add(unreadPause + time.Second)
		if err := r.ready(now); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		r.failed(now, errors.New("cannot be read"))
		now = now.Add(2 * time.Second)
	}
	if err := r.ready(now); err == nil || err.Error() != "reading fails for 12s: cannot be read" {
		t.Errorf("ready: %v", err)
	}
	if err := r.ready(now.Add(unreadPause)); err != nil {
		t.Errorf("it is read again: %v", err)
	}
}
