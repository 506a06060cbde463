package fsm

import (
	"errors"
	"strconv"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Reset returns an instance to the state that it was in at an earlier time: past
// is its chart then, at, and chart is its chart now. What had ended by then is
// kept and not done again. What was open then starts again, under new task ids, so that a late result of the abandoned run is not taken for one of the new run;
// timers have as long to go as they had. The effects begin with the
// tasks of the abandoned run that are cancelled. The error is an *[Incident], or
// says why past is nothing to go back to.
func (m *Machine) Reset(past, chart events.Chart, at time.Time, in Input) (events.Chart, []Effect, error) {
	if m.ended(&past) {
		return chart, nil, errors.New("the instance had ended then, or was being undone")
	}
	if len(past.Active) == 0 {
		return chart, nil, errors.New("the instance had not begun then")
	}
	in.Kind = InputReset
	s := &step{m: m, in: in, now: events.Instant(in.Now), chart: past, running: true}
	for i := range chart.Tasks {
		t := chart.Tasks[i]
		if from := t.State; !from.Finished() && t.Attempt > 0 {
			t.State = events.TaskCancelled
			s.changed(&t, from)
		}
	}
	s.chart.Counter = max(chart.Counter, past.Counter)
	s.chart.Tasks, s.chart.Timers = nil, nil
	if err := s.load(); err != nil {
		return chart, nil, err
	}
	s.ownTasks()
	s.ownTimers()
	for i := range past.Timers {
		if t := past.Timers[i]; t.TaskID.IsNil() && t.Kind != events.TimerRetention {
			t.Cause = nil
			t.Due = s.now.Add(max(0, t.Due.Sub(events.Instant(at))))
			s.setTimer(t)
		}
	}
	s.renew(past.Tasks)
	mark := len(s.effects)
	if s.settle(); len(s.exited)+len(s.entered) > 0 {
		s.note(mark, "reset")
	}
	s.later()
	if s.incident != nil {
		return chart, nil, s.incident
	}
	s.store()
	return s.chart, s.effects, nil
}

// renew takes over tasks of the past: those that have ended as they are, open
// ones under a new id and at their first attempt.
func (s *step) renew(tasks []events.TaskStatus) {
	var open []int
	issued := make(map[int]bool)
	for i := range tasks {
		t := tasks[i]
		if !t.State.Finished() {
			issued[len(s.chart.Tasks)] = t.Attempt > 0
			s.chart.Counter++
			t = events.TaskStatus{
				TaskID:  events.DeriveUUID(s.in.Instance.ID, "task/"+strconv.FormatInt(s.chart.Counter, 10)),
				StateID: t.StateID, Invocation: t.Invocation, Name: t.Name, Input: t.Input, State: events.TaskPending,
			}
			if tasks[i].Attempt > 0 || tasks[i].State == events.TaskBlocked {
				open = append(open, len(s.chart.Tasks))
			}
		}
		s.chart.Tasks = append(s.chart.Tasks, t)
	}
	for _, at := range open {
		t := &s.chart.Tasks[at]
		inv := s.m.invs[invocationKey(t.StateID, t.Invocation)]
		if inv == nil {
			continue
		}
		mark := len(s.internal)
		if s.issue(at, inv); issued[at] {
			s.internal = s.internal[:mark] // that it was issued is known since then
		}
	}
}
