package fsm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// fire handles a timer that is due. The clock stands at its due time.
func (s *step) fire() Effect {
	at := slices.IndexFunc(s.chart.Timers, func(t events.Timer) bool { return t.ID == s.in.TimerID })
	if at < 0 {
		return Ignored{Code: UnknownTimer, Message: fmt.Sprintf("timer %d is not set", s.in.TimerID)}
	}
	timer := s.chart.Timers[at]
	s.ownTimers()
	s.chart.Timers = slices.Delete(s.chart.Timers, at, at+1)
	s.now = timer.Due
	s.emit(TimerFired{timer})
	switch timer.Kind {
	case events.TimerAfter:
		s.trigger = event{name: timer.Event}
		s.macrostep(&s.trigger)
	case events.TimerSend:
		s.fireSend(&timer)
	case events.TimerRuntime:
		s.expire()
	default:
		s.fireTask(&timer)
	}
	s.later()
	return nil
}

func (s *step) fireSend(timer *events.Timer) {
	if timer.Event != "" {
		s.trigger = event{name: timer.Event, data: timer.Data}
		s.macrostep(&s.trigger)
		return
	}
	var out delayed
	if err := json.Unmarshal(timer.Data, &out); err != nil {
		s.fail(CodeExpression, "read a delayed send: "+err.Error(), s.m.def.Pos)
		return
	}
	s.deliver(out)
}

// setAfter arms the timer of an `after` of a state that is being entered.
func (s *step) setAfter(state *state, a *after) {
	wait, err := s.evalDelay(&a.delay)
	if err != nil {
		s.raiseError(err, errorPos(err, state.def.Pos))
		return
	}
	s.setTimer(events.Timer{Kind: events.TimerAfter, Due: s.now.Add(wait), Ref: state.id, Event: a.event})
}

func (s *step) cancelAfter(id string) {
	s.cancelTimers(func(t *events.Timer) bool { return t.Kind == events.TimerAfter && t.Ref == id })
}

// setTimer gives a timer its ordinal and arms it.
func (s *step) setTimer(t events.Timer) {
	s.ownTimers()
	s.chart.Counter++
	t.ID = s.chart.Counter
	t.Due = events.Instant(t.Due)
	s.chart.Timers = append(s.chart.Timers, t)
	s.emit(TimerSet{t})
}

// cancelTimers removes the timers that match, in one pass: there may be many.
func (s *step) cancelTimers(match func(*events.Timer) bool) {
	first := 0
	for first < len(s.chart.Timers) && !match(&s.chart.Timers[first]) {
		first++
	}
	if first == len(s.chart.Timers) {
		return
	}
	s.ownTimers()
	kept := s.chart.Timers[:first]
	for i := first; i < len(s.chart.Timers); i++ {
		t := s.chart.Timers[i]
		if match(&t) {
			s.emit(TimerCancelled{ID: t.ID})
			continue
		}
		kept = append(kept, t)
	}
	clear(s.chart.Timers[len(kept):])
	s.chart.Timers = kept
}

func (s *step) ownTimers() {
	if !s.owns.timers {
		s.owns.timers = true
		s.chart.Timers = owned(s.chart.Timers)
	}
}

// ParseDuration reads a duration of a definition: numbers with the units ms, s,
// m, h and d, such as "30s", "1h30m" or "1.5d".
func ParseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration: want a number with ms, s, m, h or d, such as 30s", clip(text))
	rest := text
	var sum time.Duration
	for rest != "" {
		digits := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if digits <= 0 {
			return 0, bad
		}
		amount, err := strconv.ParseFloat(rest[:digits], 64)
		if err != nil {
			return 0, bad
		}
		unit, length := durationUnit(rest[digits:])
		if length == 0 || amount*float64(unit) > float64(MaxDelay-sum) { // each part, so that the sum cannot overflow
			return 0, bad
		}
		sum += time.Duration(amount * float64(unit))
		rest = rest[digits+length:]
	}
	if text == "" {
		return 0, bad
	}
	return sum, nil
}

func durationUnit(text string) (time.Duration, int) {
	switch {
	case strings.HasPrefix(text, "ms"):
		return time.Millisecond, 2
	case strings.HasPrefix(text, "s"):
		return time.Second, 1
	case strings.HasPrefix(text, "m"):
		return time.Minute, 1
	case strings.HasPrefix(text, "h"):
		return time.Hour, 1
	case strings.HasPrefix(text, "d"):
		return 24 * time.Hour, 1
	default:
		return 0, 0
	}
}

// clip shortens foreign text for a message.
func clip(text string) string {
	const most = 64
	if len(text) > most {
		return events.Cut(text, most) + "…"
	}
	return text
}
