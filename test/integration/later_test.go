package integration

import (
	"errors"
	"slices"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

const patient = `
leat: v1
type: patient
version: 1
initial: working
states:
  working:
    invoke: {task: patient.work, onDone: done, onError: failed}
    on: {leave: left}
  done: {type: final}
  left: {type: final}
  failed: {type: final, outcome: failed}
`

// waits waits until a task of the instance is put down in a state, and gives the
// question of one that waits for answers.
func (w *world) waits(key string, state events.TaskState) (found events.TaskStatus) {
	w.Helper()
	w.until(func() error {
		i, err := w.direct.Get(w.ctx, "patient", key, client.GetOptions{})
		if err != nil {
			return err
		}
		at := slices.IndexFunc(i.Chart.Tasks, func(t events.TaskStatus) bool {
			return t.State == state && (!t.ResumeAt.IsZero() || !t.AskedBy.IsNil())
		})
		if at < 0 {
			return errors.New("it is not put down yet")
		}
		found = i.Chart.Tasks[at]
		return nil
	})
	return found
}
