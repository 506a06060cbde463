package health

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func tripped(t *testing.T) *Breaker {
	t.Helper()
	b := NewBreaker(BreakerConfig{Failures: 3})
	for range 3 {
		p, ok, _ := b.Allow(noon)
		if !ok {
			t.Fatal("a closed breaker holds a call back")
		}
		b.Report(p, Failure, noon)
	}
	if b.State(noon) != events.BreakerOpen {
		t.Fatalf("after three failures it is %s", b.State(noon))
	}
	return b
}

// Of 100 that ask a half-open breaker at once, one is let through; the others
// learn when to ask again.
func TestOneTrialOfAHundred(t *testing.T) {
	b := tripped(t)
	later := noon.Add(time.Second)
	var mu sync.Mutex
	var passed atomic.Int32
	var trial Pass
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			p, ok, again := b.Allow(later)
			if ok {
				passed.Add(1)
				trial = p
			} else if !again.After(later) {
				t.Error("it is to ask again at once")
			}
		})
	}
	all.Wait()
	if passed.Load() != 1 || !trial.Trial {
		t.Fatalf("%d got through, %+v", passed.Load(), trial)
	}
	b.Report(trial, Success, later)
	if b.State(later) != events.BreakerClosed {
		t.Errorf("after the trial it is %s", b.State(later))
	}
}

func TestTrialThatFails(t *testing.T) {
	b := tripped(t)
	now := noon
	for i, wait := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		if _, ok, again := b.Allow(now.Add(wait - 1)); ok || !again.Equal(now.Add(wait)) {
			t.Fatalf("trial %d: %v, again at %s, want after %s", i, ok, again, wait)
		}
		now = now.Add(wait)
		p, ok, _ := b.Allow(now)
		if !ok {
			t.Fatalf("trial %d is held back", i)
		}
		b.Report(p, Failure, now)
	}
}

func TestTrialThatSaysNothing(t *testing.T) {
	b := tripped(t)
	later := noon.Add(time.Second)
	p, _, _ := b.Allow(later)
	b.Report(p, Neutral, later)
	if _, ok, _ := b.Allow(later); !ok {
		t.Error("a trial that was cancelled keeps the next from trying")
	}
}

func TestTrialThatNobodyReports(t *testing.T) {
	b := tripped(t)
	later := noon.Add(time.Second)
	_, _, _ = b.Allow(later)
	if _, ok, again := b.Allow(later); ok || !again.Equal(later.Add(10*time.Minute)) {
		t.Errorf("%v, again at %s", ok, again)
	}
	if _, ok, _ := b.Allow(later.Add(10 * time.Minute)); !ok {
		t.Error("a trial that was lost keeps all others from trying for ever")
	}
}

func TestLateResultsDecideNothing(t *testing.T) {
	b := NewBreaker(BreakerConfig{Failures: 3})
	early, _, _ := b.Allow(noon)
	for range 3 {
		p, _, _ := b.Allow(noon)
		b.Report(p, Failure, noon)
	}
	b.Report(early, Success, noon)
	if b.State(noon) != events.BreakerOpen {
		t.Error("a call from before the outage closed the breaker")
	}
	later := noon.Add(time.Second)
	p, _, _ := b.Allow(later)
	b.Report(p, Success, later)
	for range 5 {
		b.Report(early, Failure, later)
	}
	if b.State(later) != events.BreakerClosed {
		t.Error("failures from before the outage opened it again")
	}
}

func TestAProbeBringsTheTrialForward(t *testing.T) {
	b := tripped(t)
	b.Reachable(noon)
	if p, ok, _ := b.Allow(noon); !ok || !p.Trial {
		t.Error("no trial after a probe that was answered")
	}
	if _, ok, _ := b.Allow(noon); ok {
		t.Error("two trials")
	}
}

// Whatever happens: never two trials at once, and a breaker that is left alone
// lets somebody through again.
func TestBreakerLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := NewBreaker(BreakerConfig{Failures: rapid.IntRange(1, 4).Draw(t, "failures"), Trial: time.Hour})
		now := noon
		var held []Pass
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				if p, ok, again := b.Allow(now); ok {
					held = append(held, p)
				} else if !again.After(now) {
					t.Fatalf("held back until %s, which is past %s", again, now)
				}
			case 1:
				if len(held) > 0 {
					i := rapid.IntRange(0, len(held)-1).Draw(t, "which")
					b.Report(held[i], Outcome(rapid.IntRange(0, 2).Draw(t, "outcome")), now)
					held = append(held[:i], held[i+1:]...)
				}
			case 2:
				b.Reachable(now)
			}
			trials := 0
			for _, p := range held {
				if p.Trial && p.since == b.opened {
					trials++
				}
			}
			if trials > 1 {
				t.Fatalf("%d trials at once", trials)
			}
		}
		if _, ok, _ := b.Allow(now.Add(2 * time.Hour)); !ok {
			t.Fatal("it never lets anybody through again")
		}
	})
}
