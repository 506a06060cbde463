package events

// MaxGenerations is how deep child workflows may be nested: a child of an
// instance that has no parent is of generation 1.
const MaxGenerations = 100

// Parent says whose child workflow an instance is: which attempt of which task
// waits for its end.
type Parent struct {
	WorkflowType string `json:"workflow_type"`
	InstanceID   UUID   `json:"instance_id"`
	TaskID       UUID   `json:"task_id"`
	Attempt      int32  `json:"attempt"`
	Generation   int32  `json:"generation"` // of the child: 1 below an instance without a parent
	// Token is that of the attempt: the child's result carries it.
	Token string `json:"-" wire:"token"` // no view shows it
	// Root is the instance at the top of the tree, Nil from earlier versions. How
	// many below it a partition may have is bounded.
	Root UUID `json:"root,omitzero"`
}

// SameTask reports whether two parents are the same task, at whatever attempt.
func (p *Parent) SameTask(q *Parent) bool {
	return p != nil && q != nil && p.WorkflowType == q.WorkflowType && p.InstanceID == q.InstanceID && p.TaskID == q.TaskID
}

func (p *Parent) check() error {
	if p == nil {
		return nil
	}
	return inField("parent", firstError(
		CheckWorkflowType("workflow_type", p.WorkflowType),
		checkID("instance_id", p.InstanceID),
		checkID("task_id", p.TaskID),
		checkAttempt("attempt", p.Attempt),
		checkAttempt("generation", p.Generation),
	))
}

// ParentClose says what happens to a child workflow that still runs when it is no
// longer waited for: its parent left the state, gave the attempt up, or ended.
type ParentClose string

// The three policies.
const (
	CloseCancel    ParentClose = "cancel"    // the child is cancelled
	CloseTerminate ParentClose = "terminate" // the child is terminated
	CloseAbandon   ParentClose = "abandon"   // the child goes on
)

// ParentClosePolicies lists the closed set.
func ParentClosePolicies() []ParentClose {
	return []ParentClose{CloseCancel, CloseTerminate, CloseAbandon}
}

// Child is the child workflow that a task waits for.
type Child struct {
	WorkflowType string      `json:"workflow_type"`
	InstanceID   UUID        `json:"instance_id"`
	ParentClose  ParentClose `json:"parent_close"`
}

func (c *Child) check() error {
	if c == nil {
		return nil
	}
	return inField("child", firstError(
		CheckWorkflowType("workflow_type", c.WorkflowType),
		checkID("instance_id", c.InstanceID),
		checkEnum("parent_close", c.ParentClose, ParentClosePolicies()),
	))
}
