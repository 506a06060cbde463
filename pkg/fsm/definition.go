package fsm

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// Definition is a workflow definition as parsed: every name is still text and
// every expression still source. [Compile] makes a [Machine] of it. Slices keep
// the order of the file, which is the document order that breaks ties.
type Definition struct {
	File        string // for messages; may be empty
	Type        string
	Version     int32
	Description string
	Pos         Pos

	InputSchema json.RawMessage                // JSON Schema of the start payload, nil for none
	CheckInput  func(in json.RawMessage) error // checks a start payload; nil accepts everything

	Data         []Variable
	Payloads     []Payload
	Secrets      []string
	Compensation *Compensation
	Limits       map[string]int64
	Isolation    events.IsolationLevel
	Retention    time.Duration
	Search       []string
	Tool         *Tool // nil: not offered to agents

	Root *State // its ID is the definition's Type
}

// Tool says that a workflow is offered to agents, as a tool of an MCP server with
// the name of its type.
type Tool struct {
	Pos         Pos
	Description string        // for the model that chooses among tools
	Task        ToolTask      // whether a call may go on as a task
	Wait        time.Duration // how long a call is answered within the call, before it goes on as a task
}

// ToolTask says whether a call of a tool goes on as a task, whose result is asked
// for later.
type ToolTask string

// The three ways.
const (
	ToolTaskMay   ToolTask = "may"   // when it takes longer than the tool's wait, and the client knows tasks
	ToolTaskMust  ToolTask = "must"  // always; a client that knows no tasks is refused
	ToolTaskNever ToolTask = "never" // every call is answered within the call
)

// Pos is a place in the definition's file: 1-based line and column, in
// characters. The zero Pos is a place that is not known.
type Pos struct{ Line, Col int }

// Variable is one name of instance data. A Default of kind none means that the
// variable is not set until something assigns it.
type Variable struct {
	Pos     Pos
	Name    string
	Kind    events.Kind
	Default events.ContextValue
}

// Payload is a named JSON value that `assign` writes whole.
type Payload struct {
	Pos    Pos
	Name   string
	Schema json.RawMessage
	Check  func(json.RawMessage) error // nil accepts everything
}

// Compensation says when what was done is undone.
type Compensation struct {
	Pos     Pos
	On      []events.WorkflowState // failed, cancelled, timeout
	Reverse bool                   // newest first
	AtOnce  bool                   // all at the same time
}

// StateType is the kind of a state.
type StateType uint8

// The five types.
const (
	Atomic StateType = iota
	Compound
	Parallel
	Final
	History
)

// String is the type's name in a definition.
func (t StateType) String() string {
	return [...]string{"atomic", "compound", "parallel", "final", "history"}[t]
}

// State is one state with what it contains.
type State struct {
	Pos         Pos
	ID          string
	Type        StateType
	Description string
	Tags        []string

	Initial *Transition // Targets and Actions; nil: the first child that is not a history state
	States  []*State
	On      []*Transition
	OnDone  []*Transition
	OnError []*Transition // of a state with Tasks: a task failed permanently
	After   []After
	Always  []*Transition
	Entry   []Action
	Exit    []Action
	Invoke  []*Invocation
	Tasks   []*Invocation // a DAG; Needs says how they depend

	Deep   bool   // of a history state
	Target []Name // of a history state: its default

	Output       *Template // of a final state
	Outcome      events.WorkflowState
	ErrorCode    *Template
	ErrorMessage *Template
}

// Name is an id where the file mentions it.
type Name struct {
	Pos Pos
	ID  string
}

// Transition is one arrow. No Events means eventless; no Targets means that it
// only acts.
type Transition struct {
	Pos         Pos
	Events      []string // descriptors: "a", "a.b.*", "*"
	Targets     []Name
	Guard       *Expr
	Assign      []Assign
	Actions     []Action
	Internal    bool
	Description string
}

// After is what happens when a state has been active for a while. Its key names
// the event: after.<key>.<state>.
type After struct {
	Pos         Pos
	Key         string
	Delay       Delay
	Transitions []*Transition
}

// Delay is a duration, fixed or computed.
type Delay struct {
	Fixed time.Duration
	Expr  *Expr // nil: Fixed
}

// Expr is an expression's source where the file has it.
type Expr struct {
	Pos    Pos
	Source string
}

// Assign writes one variable or payload.
type Assign struct {
	Pos   Pos
	Name  string
	Value *Template // an expression, a literal, or (for payloads) a tree of them
}

// Template is a JSON value with expressions in it. Exactly one of Expr,
// Literal, Object and List is meant: Object when Fields is not nil, and so on;
// the empty object has Fields of length 0.
type Template struct {
	Pos     Pos
	Expr    *Expr
	Literal json.RawMessage
	Fields  []Field
	Items   []*Template
}

// Field is one member of an object template.
type Field struct {
	Pos   Pos
	Name  string
	Value *Template
}

// ActionKind says what an action does.
type ActionKind uint8

// The kinds.
const (
	ActionAssign ActionKind = iota
	ActionRaise
	ActionSend
	ActionCancel
	ActionEmit
	ActionCompensate
	ActionLog
	ActionIf
)

// Action is one executable step of a transition, an entry or an exit list.
type Action struct {
	Pos   Pos
	Kind  ActionKind
	Event string    // raise, send, emit: the event; cancel: the send's id; compensate: a state or "all"
	Data  *Template // raise, send, emit; log: its message
	// send only
	To    *Template // instance id or business key; nil: this instance
	Type  string    // workflow type of To, "" for this one's
	Delay *Delay
	ID    string // names a send for cancel

	Assign     []Assign
	If         *Expr
	Then, Else []Action
}

// InvocationKind says what an invocation calls.
type InvocationKind uint8

// The kinds.
const (
	InvokeTask InvocationKind = iota
	InvokeMCP
	InvokeHTTP
	InvokeWorkflow
	InvokeHuman
)

// Queued reports whether an invocation of the kind is a task on a queue, which
// executors read. Child workflows and tasks of people are on none.
func (k InvocationKind) Queued() bool { return k != InvokeWorkflow && k != InvokeHuman }

// NeedType says how a task depends on another.
type NeedType uint8

// The need types.
const (
	Hard        NeedType = iota // must be completed
	Soft                        // must have ended
	Conditional                 // hard, and the condition must hold
)

// Need is one arrow of a task DAG.
type Need struct {
	Pos       Pos
	Task      string
	Type      NeedType
	Condition *Expr
}

// Invocation is a piece of work that a state asks for.
type Invocation struct {
	Pos  Pos
	ID   string
	Kind InvocationKind
	Task string // "queue.task": what it runs, also for the kinds that are not tasks

	Input *Template // for the kinds that are not tasks: the whole request

	CheckResult func(json.RawMessage) error // of a human task: against the schema of its form; nil accepts everything

	Timeouts   events.Timeouts // zero Heartbeat: the default
	Retry      *Retry          // nil: the first failure is final
	Compensate *Invocation
	NodeType   events.NodeType
	Requires   []string
	Resources  map[string]int64
	Priority   events.TaskPriority
	Semantics  events.ExecutionSemantics
	Delivery   events.DeliveryGuarantee
	Needs      []Need

	OnDone  []*Transition
	OnError []*Transition
}

// Retry says when a failed attempt is followed by another, and after how long.
type Retry struct {
	Pos          Pos
	Policy       events.RetryPolicy
	MaxAttempts  int32         // 0: no bound
	Initial      time.Duration // before the second attempt
	Factor       float64       // exponential: growth from attempt to attempt
	Max          time.Duration // of one delay; 0: an hour
	Jitter       bool          // half to all of the delay, by task id and attempt
	Retryable    []string      // codes; empty: all that are not in NonRetryable
	NonRetryable []string
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
