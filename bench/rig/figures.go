package rig

import (
	"math"
	"slices"
	"time"
)

// Digits is v with n digits behind the point, and 0 for what is no number: the
// share of nothing.
func Digits(v float64, n int) float64 {
	scale := math.Pow10(n)
	if v = math.Round(v*scale) / scale; math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// Quantile of durations, in milliseconds with two digits; 0 for none. It sorts
// the list.
func Quantile(list []time.Duration, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	at := list[int(q*float64(len(list)-1))]
	return Digits(float64(at.Microseconds())/1000, 2)
}
