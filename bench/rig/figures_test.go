package rig_test

import (
	"math"
	"testing"
	"time"

	"github.com/leat-io/leat/bench/rig"
)

func TestQuantile(t *testing.T) {
	list := []time.Duration{5 * time.Millisecond, 1500 * time.Microsecond, 3 * time.Millisecond}
	for q, want := range map[float64]float64{0: 1.5, 0.5: 3, 0.99: 3, 1: 5} {
		if got := rig.Quantile(list, q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := rig.Quantile(nil, 0.5); got != 0 {
		t.Errorf("the quantile of nothing is %v", got)
	}
}

func TestDigits(t *testing.T) {
	for _, c := range []struct{ v, want float64 }{{1.2345, 1.23}, {1.235, 1.24}, {math.NaN(), 0}, {math.Inf(1), 0}} {
		if got := rig.Digits(c.v, 2); got != c.want {
			t.Errorf("%v becomes %v, want %v", c.v, got, c.want)
		}
	}
}
