package health

import (
	"cmp"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// BreakerConfig says when a breaker opens and closes. The zero value is a good one.
type BreakerConfig struct {
	Failures int           // in a row, that open it; default 5
	Recovery time.Duration // from open to the first trial; doubles with each trial that fails; default 1 s
	Longest  time.Duration // that Recovery grows to; default 1 min
	Trial    time.Duration // after which a trial that was never reported counts as failed; default 10 min
}

func (c BreakerConfig) withDefaults() BreakerConfig {
	c.Failures, c.Recovery = cmp.Or(c.Failures, 5), cmp.Or(c.Recovery, time.Second)
	c.Longest, c.Trial = max(cmp.Or(c.Longest, time.Minute), c.Recovery), cmp.Or(c.Trial, 10*time.Minute)
	return c
}

// Outcome is what a call says about the server.
type Outcome int

// The outcomes. A tool that answers that it failed is a Success of the server.
const (
	Neutral Outcome = iota // it says nothing: cancelled, or refused before it ran
	Success
	Failure
)

// Pass is the permission for one call. It has to be reported once.
type Pass struct {
	Trial bool
	since int // how often the breaker had opened
}

// Breaker stops calls to what fails. The zero value is closed.
type Breaker struct {
	config   BreakerConfig
	open     bool
	opened   int // how often
	failures int // in a row, while closed
	trials   int // that failed in a row
	next     time.Time
	trial    time.Time // until when a trial is under way; zero for none
}

// NewBreaker makes a closed breaker.
func NewBreaker(c BreakerConfig) *Breaker { return &Breaker{config: c.withDefaults()} }

// State is what the next call would meet.
func (b *Breaker) State(now time.Time) events.CircuitBreakerState {
	switch {
	case !b.open:
		return events.BreakerClosed
	case now.Before(b.next):
		return events.BreakerOpen
	default:
		return events.BreakerHalfOpen
	}
}

// Ready reports whether Allow would let a call through.
func (b *Breaker) Ready(now time.Time) bool {
	return !b.open || !now.Before(b.next) && !now.Before(b.trial)
}

// Allow lets a call through, or says when to ask again. Of all who ask a half-open
// breaker one gets through.
func (b *Breaker) Allow(now time.Time) (pass Pass, ok bool, again time.Time) {
	if !b.Ready(now) {
		if b.trial.After(b.next) {
			return Pass{}, false, b.trial
		}
		return Pass{}, false, b.next
	}
	if b.open {
		b.trial = now.Add(b.config.Trial)
	}
	return Pass{Trial: b.open, since: b.opened}, true, time.Time{}
}

// Report says how a call ended. Of calls that began before the breaker opened
// nothing is learnt any more.
func (b *Breaker) Report(p Pass, o Outcome, now time.Time) {
	switch {
	case p.since != b.opened:
	case p.Trial:
		b.reportTrial(o, now)
	case b.open:
	case o == Success:
		b.failures = 0
	case o == Failure:
		if b.failures++; b.failures >= b.config.withDefaults().Failures {
			b.trip(now)
		}
	}
}

func (b *Breaker) reportTrial(o Outcome, now time.Time) {
	b.trial = time.Time{}
	switch o {
	case Success:
		b.open, b.failures, b.trials = false, 0, 0
		b.opened++ // what is under way since before the outage says nothing about now
	case Failure:
		b.trials++
		b.trip(now)
	case Neutral:
	}
}

func (b *Breaker) trip(now time.Time) {
	c := b.config.withDefaults()
	wait := c.Recovery << min(b.trials, 16)
	if wait <= 0 || wait > c.Longest {
		wait = c.Longest
	}
	b.open, b.next, b.trial = true, now.Add(wait), time.Time{}
	b.opened++
}

// Reachable says that a probe was answered: the next call may try, earlier than it
// would have.
func (b *Breaker) Reachable(now time.Time) {
	if b.open && now.Before(b.next) {
		b.next = now
	}
}
