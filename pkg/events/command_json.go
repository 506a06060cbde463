package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// commandJSON is the form in which any producer may speak:
//
//	{"command":"start","type":"quake","key":"ci37868143","input":{"mag":2.0}}
//	{"command":"signal","type":"quake","key":"ci37868143","event":"reviewed","data":{}}
//	{"command":"cancel","type":"quake","key":"ci37868143","reason":"felt by nobody"}
//	{"command":"describe","type":"quake","key":"ci37868143"}
//	{"command":"result","type":"quake","instance_id":"…","task_id":"…","attempt":1,"state":"completed","data":{}}
type commandJSON struct {
	Command          CommandType                `json:"command"`
	Type             string                     `json:"type"`
	InstanceID       *string                    `json:"instance_id,omitempty"`
	Key              *KeyText                   `json:"key,omitempty"`
	Version          int32                      `json:"version,omitempty"`
	Input            json.RawMessage            `json:"input,omitempty"`
	Event            string                     `json:"event,omitempty"`
	Data             json.RawMessage            `json:"data,omitempty"`
	TaskID           *string                    `json:"task_id,omitempty"`
	Attempt          int32                      `json:"attempt,omitempty"`
	State            TaskState                  `json:"state,omitempty"`
	Error            *Error                     `json:"error,omitempty"`
	NodeID           string                     `json:"node_id,omitempty"`
	Token            string                     `json:"token,omitempty"`
	ExecutionTime    int64                      `json:"execution_time_ms,omitempty"`
	RetryAfter       int64                      `json:"retry_after_ms,omitempty"`
	HeartbeatDetails json.RawMessage            `json:"heartbeat_details,omitempty"`
	Repeatable       bool                       `json:"repeatable,omitempty"`
	Generation       int64                      `json:"generation,omitempty"`
	HandedBack       bool                       `json:"handed_back,omitempty"`
	ResumeAfter      int64                      `json:"resume_after_ms,omitempty"`
	Questions        []Question                 `json:"questions,omitempty"`
	Reason           string                     `json:"reason,omitempty"`
	Skip             bool                       `json:"skip,omitempty"`
	CommandID        *string                    `json:"command_id,omitempty"`
	IdempotencyKey   string                     `json:"idempotency_key,omitempty"`
	CorrelationID    *string                    `json:"correlation_id,omitempty"`
	CausationID      *string                    `json:"causation_id,omitempty"`
	ExpectedSequence *int64                     `json:"expected_sequence,omitempty"`
	Priority         TaskPriority               `json:"priority,omitempty"`
	Timestamp        string                     `json:"timestamp,omitempty"`
	Source           string                     `json:"source,omitempty"`
	Metadata         map[string]json.RawMessage `json:"metadata,omitempty"`
}

// DecodeCommandJSON reads the JSON form of a command. It refuses unknown
// fields, fields that the command does not have, and anything after the object.
// The result is neither resolved nor validated; see [Command.Resolve].
func DecodeCommandJSON(text []byte) (Command, error) {
	var j commandJSON
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil {
		return Command{}, jsonError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Command{}, errors.New("there is something after the JSON object")
	}
	if err := firstError(checkFields(text), j.checkShape()); err != nil {
		return Command{}, err
	}
	return j.command()
}

// checkFields refuses what encoding/json reads without a word: a field that is
// there twice, of which one would be lost, and names in texts that it would
// change, so that two of them became one.
func checkFields(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	_, err := dec.Token() // the bracket: the object was read before
	var seen []string
	for err == nil && dec.More() {
		var field json.Token
		if field, err = dec.Token(); err != nil {
			break
		}
		name, _ := field.(string)
		if slices.ContainsFunc(seen, func(other string) bool { return strings.EqualFold(other, name) }) {
			return fieldErrorf(clip(name), "is there twice")
		}
		seen = append(seen, name)
		var value json.RawMessage
		if err = dec.Decode(&value); err == nil {
			err = checkIdentity(strings.ToLower(name), value)
		}
	}
	return err
}

// checkIdentity holds the fields by which something is found again. What comes
// with them for people and definitions is theirs.
func checkIdentity(field string, value json.RawMessage) error {
	if !slices.Contains([]string{"type", "event", "idempotency_key", "node_id"}, field) {
		return nil // a key does it itself
	}
	return checkCharacters(field, value)
}

// checkShape refuses fields that belong to another command, because a producer
// that sends them expects something that will not happen.
func (j *commandJSON) checkShape() error {
	if err := checkEnum("command", j.Command, CommandTypes()); err != nil {
		return err
	}
	type use struct {
		field string
		given bool
		by    string // the commands that have the field
	}
	for _, u := range []use{
		{"input", j.Input != nil, "start"},
		{"version", j.Version != 0, "start migrate"},
		{"event", j.Event != "", "signal"},
		{"data", j.Data != nil, "signal result reset migrate"},
		{"task_id", j.TaskID != nil, "claim heartbeat result"},
		{"attempt", j.Attempt != 0, "claim heartbeat result"},
		{"node_id", j.NodeID != "", "claim heartbeat result"},
		{"token", j.Token != "", "claim heartbeat result"},
		{"state", j.State != "", "result"},
		{"error", j.Error != nil, "result"},
		{"execution_time_ms", j.ExecutionTime != 0, "result"},
		{"retry_after_ms", j.RetryAfter != 0, "result"},
		{"heartbeat_details", j.HeartbeatDetails != nil, "heartbeat result"},
		{"repeatable", j.Repeatable, "claim"},
		{"generation", j.Generation != 0, "claim"},
		{"handed_back", j.HandedBack, "result"},
		{"resume_after_ms", j.ResumeAfter != 0, "result"},
		{"questions", j.Questions != nil, "result"},
		{"reason", j.Reason != "", "pause resume cancel terminate retry reset migrate"},
		{"skip", j.Skip, "retry"},
	} {
		if u.given && !strings.Contains(u.by, string(j.Command)) {
			return fieldErrorf(u.field, "is not a field of command %q (only of %s)", j.Command, strings.ReplaceAll(u.by, " ", ", "))
		}
	}
	return nil
}

// command builds the Command, naming the field of whatever cannot be read.
func (j *commandJSON) command() (Command, error) {
	c := Command{
		Command: j.Command, WorkflowType: j.Type, Version: j.Version, Event: j.Event, Payload: j.Input,
		IdempotencyKey: j.IdempotencyKey, ExpectedSequence: j.ExpectedSequence, Priority: j.Priority, Source: j.Source,
		Reason: j.Reason, Skip: j.Skip,
	}
	if j.Data != nil {
		c.Payload = j.Data
	}
	if j.Key != nil {
		if err := CheckKey("key", string(*j.Key)); err != nil {
			return Command{}, err
		}
		c.Key = string(*j.Key)
	}
	var taskID UUID
	var ran, after, down time.Duration
	err := firstError(
		readMillis("execution_time_ms", j.ExecutionTime, &ran),
		readMillis("retry_after_ms", j.RetryAfter, &after),
		readMillis("resume_after_ms", j.ResumeAfter, &down),
		readID("command_id", j.CommandID, &c.CommandID),
		readID("instance_id", j.InstanceID, &c.InstanceID),
		readID("correlation_id", j.CorrelationID, &c.CorrelationID),
		readID("causation_id", j.CausationID, &c.CausationID),
		readID("task_id", j.TaskID, &taskID),
		readTime("timestamp", j.Timestamp, &c.Timestamp),
		readValues("metadata", j.Metadata, &c.Metadata),
	)
	if err != nil {
		return Command{}, err
	}
	if j.TaskID != nil || j.Attempt != 0 {
		c.Result = &TaskResult{
			TaskID: taskID, Attempt: j.Attempt, State: j.State, Error: j.Error, NodeID: j.NodeID,
			ExecutionTime: ran, Token: j.Token, RetryAfter: after, HeartbeatDetails: j.HeartbeatDetails,
			Repeatable: j.Repeatable, Generation: j.Generation, HandedBack: j.HandedBack, ResumeAfter: down, Questions: j.Questions,
		}
	}
	return c, nil
}

func readID(field string, text *string, id *UUID) error {
	switch {
	case text == nil:
		return nil
	case *text == "":
		return fieldErrorf(field, "is empty: leave it out or give a UUID")
	}
	parsed, err := ParseUUID(*text)
	if err != nil {
		return fieldErrorf(field, "%v", err)
	}
	*id = parsed
	return nil
}

func readMillis(field string, n int64, d *time.Duration) error {
	if n < 0 || n > math.MaxInt64/int64(time.Millisecond) {
		return fieldErrorf(field, "%d is not a duration in milliseconds", n)
	}
	*d = time.Duration(n) * time.Millisecond
	return nil
}

func readTime(field, text string, t *time.Time) error {
	if text == "" {
		return nil
	}
	parsed, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return fieldErrorf(field, "%q is not a time like 2026-09-21T10:00:00.123456Z", clip(text))
	}
	*t = Instant(parsed)
	return nil
}

func readValues(field string, texts map[string]json.RawMessage, values *map[string]ContextValue) error {
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		var v ContextValue
		if err := v.UnmarshalJSON(texts[key]); err != nil {
			return fieldErrorf(field+"."+clip(key), "%v", err)
		}
		if *values == nil {
			*values = make(map[string]ContextValue, len(texts))
		}
		(*values)[key] = v
	}
	return nil
}

// EncodeCommandJSON writes the form that [DecodeCommandJSON] reads. Times are
// written in microseconds and durations in milliseconds, rounded up.
func EncodeCommandJSON(c *Command) ([]byte, error) {
	j := commandJSON{
		Command: c.Command, Type: c.WorkflowType, InstanceID: orAbsent(c.InstanceID), Version: c.Version,
		Event: c.Event, CommandID: orAbsent(c.CommandID), IdempotencyKey: c.IdempotencyKey,
		CorrelationID: orAbsent(c.CorrelationID), CausationID: orAbsent(c.CausationID),
		ExpectedSequence: c.ExpectedSequence, Priority: c.Priority, Source: c.Source,
		Reason: c.Reason, Skip: c.Skip,
	}
	if key := KeyText(c.Key); key != "" {
		j.Key = &key
	}
	if c.Command == CommandStart {
		j.Input = c.Payload
	} else {
		j.Data = c.Payload
	}
	if !c.Timestamp.IsZero() {
		j.Timestamp = Instant(c.Timestamp).Format(time.RFC3339Nano)
	}
	if r := c.Result; r != nil {
		j.TaskID, j.Attempt, j.State, j.Error, j.NodeID = orAbsent(r.TaskID), r.Attempt, r.State, r.Error, r.NodeID
		j.Token = r.Token
		j.ExecutionTime = int64((r.ExecutionTime + time.Millisecond - 1) / time.Millisecond)
		j.RetryAfter = int64((r.RetryAfter + time.Millisecond - 1) / time.Millisecond)
		j.HeartbeatDetails = r.HeartbeatDetails
		j.Repeatable, j.Generation, j.HandedBack, j.Questions = r.Repeatable, r.Generation, r.HandedBack, r.Questions
		j.ResumeAfter = int64((r.ResumeAfter + time.Millisecond - 1) / time.Millisecond)
	}
	for key, v := range c.Metadata {
		text, err := v.MarshalJSON()
		if err != nil {
			return nil, fieldErrorf("metadata."+clip(key), "%v", err)
		}
		if j.Metadata == nil {
			j.Metadata = make(map[string]json.RawMessage, len(c.Metadata))
		}
		j.Metadata[key] = text
	}
	return EncodeJSON(j)
}

func orAbsent(id UUID) *string {
	if id.IsNil() {
		return nil
	}
	text := id.String()
	return &text
}

// jsonError words the decoder's errors for a producer, and names the field.
func jsonError(err error) error {
	if field, ok := errors.AsType[*FieldError](err); ok {
		return field
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		return fieldErrorf(kind.Field, "is a JSON %s, want %s", kind.Value, kind.Type)
	}
	if rest, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
		return fieldErrorf(strings.Trim(rest, `"`), "is not a field of a command")
	}
	return fmt.Errorf("is not a JSON command: %w", err)
}
