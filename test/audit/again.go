package audit

import (
	"fmt"

	"github.com/leat-io/leat/pkg/events"
)

// follow folds an event of the task, and says what is wrong with it.
func (l *life) follow(e *events.Event, attempt int64) (wrong string) {
	if resumed(e) {
		return l.again(e, attempt)
	}
	return l.next(e.EventType, attempt)
}

// again folds that the newest attempt is put down, or issued again, and says what is
// wrong with it.
func (l *life) again(e *events.Event, attempt int64) (wrong string) {
	down := Text(e, "state") != ""
	if attempt != l.attempt || !l.open || !e.Data["handed_back"].Bool() && down == l.down {
		wrong = fmt.Sprintf("again while the newest is %d (open: %t, put down: %t)", l.attempt, l.open, l.down)
	}
	l.down = down
	return wrong
}

// resumed reports whether an event puts an attempt down or issues it again.
func resumed(e *events.Event) bool {
	return e.EventType == events.EventTaskScheduled &&
		(e.Data["put_down"].Bool() || e.Data["handed_back"].Bool() || e.Data["again"].Bool())
}
