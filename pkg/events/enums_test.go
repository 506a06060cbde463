package events_test

import (
	"strings"
	"testing"

	"github.com/leat-io/leat/pkg/events"
)

// The closed sets, as the contracts spell them.
func TestClosedSets(t *testing.T) {
	for name, c := range map[string]struct{ got, want string }{
		"workflow states": {join(events.WorkflowStates()), "pending initializing running paused completed failed cancelled timeout retrying " +
			"waiting_for_dependency compensating compensated"},
		"task states": {join(events.TaskStates()), "pending scheduled running completed failed cancelled timeout retrying skipped waiting_for_input blocked"},
		"event types": {join(events.EventTypes()), "workflow.created workflow.started workflow.paused workflow.resumed workflow.completed " +
			"workflow.failed workflow.cancelled workflow.timeout workflow.retrying task.scheduled task.started task.completed task.failed " +
			"task.retry task.cancelled task.skipped dependency.resolved dependency.failed state.transitioned compensation.started " +
			"compensation.completed compensation.failed resource.allocated resource.released error.occurred"},
		"task types":          {join(events.TaskTypes()), "compute effect orchestrator reducer"},
		"node types":          {join(events.NodeTypes()), "COMPUTE EFFECT REDUCER ORCHESTRATOR"},
		"semantics":           {join(events.ExecutionSemanticsSet()), "await fire_and_forget async_await"},
		"delivery guarantees": {join(events.DeliveryGuarantees()), "at_least_once at_most_once"},
		"retry policies":      {join(events.RetryPolicies()), "none fixed exponential linear custom"},
		"priorities":          {join(events.TaskPriorities()), "low normal high critical urgent"},
		"isolation levels":    {join(events.IsolationLevels()), "read_uncommitted read_committed repeatable_read serializable"},
		"commands":            {join(events.CommandTypes()), "start signal claim heartbeat result pause resume cancel terminate retry reset migrate describe"},
		"outcomes":            {join(events.OutcomeStatuses()), "duplicate conflict rejected ignored held described"},
		"timers":              {join(events.TimerKinds()), "after send retry schedule_to_start start_to_close schedule_to_close heartbeat runtime retention resume"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", name, c.got, c.want)
		}
	}
}

func join[E ~string](set []E) string {
	names := make([]string, len(set))
	for i, v := range set {
		names[i] = string(v)
	}
	return strings.Join(names, " ")
}

func TestWhatIsFinished(t *testing.T) {
	var finished []string
	for _, s := range events.WorkflowStates() {
		if s.Finished() {
			finished = append(finished, string(s))
		}
	}
	for _, s := range events.TaskStates() {
		if s.Finished() {
			finished = append(finished, "task "+string(s))
		}
	}
	want := "completed failed cancelled timeout compensated task completed task failed task cancelled task timeout task skipped"
	if got := strings.Join(finished, " "); got != want {
		t.Errorf("got %s", got)
	}
}
