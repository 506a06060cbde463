package avro

import (
	"strings"

	"github.com/leat-io/leat/pkg/events"
)

// set is a closed set of texts. Reading one gives the constant, so that no text
// is allocated.
type set[E ~string] struct {
	byText map[string]E
	all    string // for the error message
}

func setOf[E ~string](values []E) set[E] {
	s := set[E]{byText: make(map[string]E, len(values))}
	names := make([]string, len(values))
	for i, v := range values {
		s.byText[string(v)], names[i] = v, string(v)
	}
	s.all = strings.Join(names, ", ")
	return s
}

// The closed sets, as pkg/events lists them.
var (
	commandTypes    = setOf(events.CommandTypes())
	eventTypes      = setOf(events.EventTypes())
	workflowStates  = setOf(events.WorkflowStates())
	taskStates      = setOf(events.TaskStates())
	taskTypes       = setOf(events.TaskTypes())
	nodeTypes       = setOf(events.NodeTypes())
	priorities      = setOf(events.TaskPriorities())
	semantics       = setOf(events.ExecutionSemanticsSet())
	deliveries      = setOf(events.DeliveryGuarantees())
	isolationLevels = setOf(events.IsolationLevels())
	outcomeStatuses = setOf(events.OutcomeStatuses())
	timerKinds      = setOf(events.TimerKinds())
	overlapPolicies = setOf(events.OverlapPolicies())
	parentCloses    = setOf(events.ParentClosePolicies())
	subsystemTypes  = setOf(events.MCPSubsystemTypes())
	toolTypes       = setOf(events.MCPToolTypes())
	trusts          = setOf(events.MCPTrusts())
	lifecycles      = setOf(events.MCPLifecycleStates())
	connections     = setOf(events.MCPConnectionStatuses())
	healthStatuses  = setOf(events.HealthStatuses())
	breakerStates   = setOf(events.CircuitBreakerStates())
	mcpReasons      = setOf(events.MCPReasons())
)

// enum is a text of a closed set; any other is refused both ways.
func enum[E ~string](c *codec, field string, p *E, s *set[E]) {
	if c.encode {
		if _, known := s.byText[string(*p)]; !known {
			c.fail(field, "%q is none of %s", clip([]byte(*p)), s.all)
			return
		}
		c.writeString(field, string(*p))
		return
	}
	b := c.readBytes(field)
	if c.err != nil {
		return
	}
	v, known := s.byText[string(b)]
	if !known {
		c.fail(field, "%q is none of %s", clip(b), s.all)
		return
	}
	*p = v
}

// optEnum is a text of a closed set that may be null; null is "".
func optEnum[E ~string](c *codec, field string, p *E, s *set[E]) {
	if c.some(field, *p != "") {
		enum(c, field, p, s)
	}
}
