package invoke

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/leat-io/leat/internal/mcp/fleet"
	"github.com/leat-io/leat/internal/mcp/wire"
	"github.com/leat-io/leat/pkg/events"
)

// input is what an mcp invocation comes to.
type input struct {
	Tool      string          `json:"tool"`
	Subsystem string          `json:"subsystem"`
	Require   bool            `json:"require"`
	Arguments json.RawMessage `json:"arguments"`
}

// readInput reads the input of a task.
func readInput(task *events.Task) (*input, error) {
	var in input
	if err := json.Unmarshal(task.Input, &in); err != nil {
		return nil, fail(wire.CodeArguments, false, "the input of %s is not {tool, subsystem, require, arguments}: %v", task.TaskName, err)
	}
	if subsystem, tool, ok := events.SplitTool(in.Tool); ok { // "subsystem/tool"
		in.Tool = tool
		if in.Subsystem == "" {
			in.Subsystem, in.Require = subsystem, true
		}
	}
	if len(in.Arguments) == 0 || string(in.Arguments) == "null" {
		in.Arguments = json.RawMessage("{}")
	}
	switch {
	case in.Tool == "":
		return nil, fail(wire.CodeArguments, false, "the invocation names no tool")
	case in.Require && in.Subsystem == "":
		return nil, fail(wire.CodeArguments, false, "require is true and the invocation names no subsystem")
	case bytes.TrimSpace(in.Arguments)[0] != '{':
		return nil, fail(wire.CodeArguments, false, "the arguments of %s are not an object", in.Tool)
	}
	return &in, nil
}

// arguments are those of a call by an offer: with the key in the argument that the
// operator named, with defaults, and checked.
func (in *input) arguments(o *fleet.Offer, key string) (json.RawMessage, error) {
	given := in.Arguments
	if o.Repeat.Argument != "" {
		var err error
		if given, err = withKey(given, o.Repeat.Argument, key); err != nil {
			return nil, fail(wire.CodeArguments, false, "the arguments of %s are not an object: %v", in.Tool, err)
		}
	}
	schema, _, err := o.Tool.Schemas()
	if err != nil {
		return nil, fail(wire.CodeProtocol, false, "%s of subsystem %s cannot be called: %v", in.Tool, o.Subsystem.SubsystemID, err)
	}
	filled, err := schema.Fill(given)
	if err != nil {
		return nil, fail(wire.CodeArguments, false, "arguments of %s (subsystem %s): %v", in.Tool, o.Subsystem.SubsystemID, err)
	}
	return filled, nil
}

// withKey sets an argument that the definition does not give; the rest stays byte
// for byte.
func withKey(arguments json.RawMessage, name, key string) (json.RawMessage, error) {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(arguments, &given); err != nil {
		return nil, err
	}
	if _, ok := given[name]; ok {
		return arguments, nil // constant over all attempts, as the input is
	}
	argument, err := json.Marshal(map[string]string{name: key})
	if err != nil {
		return nil, err
	}
	rest := bytes.TrimSpace(bytes.TrimSpace(arguments)[1:])
	if len(given) == 0 {
		return argument, nil
	}
	return append(append(argument[:len(argument)-1:len(argument)-1], ','), rest...), nil
}

// fail is a failure with a code of ours.
func fail(code string, retryable bool, format string, args ...any) *events.Error {
	return &events.Error{Code: code, Message: events.Cut(fmt.Sprintf(format, args...), events.MaxMessageLength), Retryable: retryable}
}

func sum(raw []byte) string {
	s := sha256.Sum256(raw)
	return hex.EncodeToString(s[:])
}

// traceparent is the trace context of an attempt, as that of http calls.
func traceparent(task *events.Task) string {
	span := events.DeriveUUID(task.TaskID, fmt.Sprintf("span/%d", task.Attempt))
	return "00-" + hex.EncodeToString(task.CorrelationID[:]) + "-" + hex.EncodeToString(span[:8]) + "-01"
}
