package simulate

import (
	"encoding/json"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// The effects as a simulation prints them.
type (
	showStart struct {
		StartTask string `json:"start_task"`
		Task      string `json:"task"`
		Attempt   int32  `json:"attempt,omitempty"` // from the second on
	}
	showTask struct {
		EndTask string           `json:"task_changed"`
		To      events.TaskState `json:"to"`
		RetryAt *time.Time       `json:"retry_at,omitempty"`
	}
	showCancel struct {
		CancelTask string `json:"cancel_task"`
	}
	showEmit struct {
		Emit string          `json:"emit"`
		Data json.RawMessage `json:"data,omitempty"`
	}
	showSend struct {
		Send string          `json:"send"`
		To   string          `json:"to"`
		Type string          `json:"type"`
		Data json.RawMessage `json:"data,omitempty"`
	}
	showLog struct {
		Log string `json:"log"`
	}
	showTimer struct {
		SetTimer string    `json:"set_timer"`
		Due      time.Time `json:"due"`
	}
	showCancelTimer struct {
		CancelTimer string `json:"cancel_timer"`
	}
	showUndo struct {
		Compensate []string `json:"compensate"`
	}
)

// show is the printed form of an effect, nil for one that the rest of the line
// says. Of a task's deadlines the line says nothing.
func show(e fsm.Effect, timers []events.Timer) any {
	switch e := e.(type) {
	case fsm.StartTask:
		out := showStart{StartTask: e.Invocation, Task: e.Name}
		if e.Attempt > 1 {
			out.Attempt = e.Attempt
		}
		return out
	case fsm.TaskChanged:
		return showChange(&e)
	case fsm.Emitted:
		return showEmit{e.Event, e.Data}
	case fsm.SendSignal:
		return showSend{e.Event, e.To, e.Type, e.Data}
	case fsm.Logged:
		return showLog{e.Message}
	case fsm.TimerSet:
		if name := timerName(&e.Timer); name != "" {
			return showTimer{name, e.Due}
		}
	case fsm.TimerCancelled:
		for i := range timers {
			if timers[i].ID == e.ID && timerName(&timers[i]) != "" {
				return showCancelTimer{timerName(&timers[i])}
			}
		}
	case fsm.CompensationStarted:
		return showUndo{e.Invocations}
	}
	return nil
}

func showChange(e *fsm.TaskChanged) any {
	switch e.To {
	case events.TaskCancelled:
		return showCancel{e.Invocation}
	case events.TaskCompleted, events.TaskRunning:
		return nil
	default:
	}
	out := showTask{EndTask: e.Invocation, To: e.To}
	if !e.RetryAt.IsZero() {
		out.RetryAt = &e.RetryAt
	}
	return out
}

// timerName names a timer that the definition sets; "" for a task's deadline.
func timerName(t *events.Timer) string {
	switch {
	case t.Kind == events.TimerAfter:
		return t.Event
	case t.Kind == events.TimerSend && t.Ref != "":
		return t.Ref
	case t.Kind == events.TimerSend:
		return t.Event
	default:
		return ""
	}
}
