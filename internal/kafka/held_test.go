package kafka

import (
	"strings"
	"testing"
	"time"
)

func TestATransactionThatNobodyEndsIsNamed(t *testing.T) {
	p, q := TopicPartition{"t", 3}, TopicPartition{"t", 4}
	var h Held
	now := time.Unix(1000, 0)
	at := func(stable, end int64) error {
		now = now.Add(heldLimit / 2)
		h.look(now, map[TopicPartition]int64{p: stable, q: 9}, map[TopicPartition]int64{p: end, q: 9})
		return h.Ready()
	}
	for stable := range int64(10) { // there is always one, and never the same
		if err := at(stable, stable+5); err != nil {
			t.Fatal(err)
		}
	}
	if err := at(20, 21); err != nil {
		t.Error(err)
	}
	if err := at(20, 30); err != nil {
		t.Error(err)
	}
	err := at(20, 30)
	if err == nil || !strings.Contains(err.Error(), "offset 20 of t/3 is open for 15s") {
		t.Errorf("held: %v", err)
	}
	if err := at(30, 30); err != nil {
		t.Errorf("it has ended: %v", err)
	}
}
