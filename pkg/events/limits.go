package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of records. One beyond them is refused with a FieldError.
const (
	MaxTypeLength    = 100       // bytes of a workflow type
	MaxKeyLength     = 512       // bytes of a business key or an idempotency key
	MaxNameLength    = 256       // bytes of a signal, queue or task name
	MaxReasonLength  = 1024      // bytes of the reason that a command gives
	MaxPayloadLength = 256 << 10 // bytes of one JSON payload
	MaxResetLength   = 900 << 10 // bytes of the inputs that a reset carries
	MaxDetailsLength = 64 << 10  // bytes of the JSON details of a heartbeat
)

// CheckWorkflowType holds `^[a-z][a-z0-9_-]{0,99}$`, which keeps every topic
// name legal and of bounded length.
func CheckWorkflowType(field, name string) error {
	if name == "" {
		return fieldErrorf(field, "is missing")
	}
	ok := len(name) <= MaxTypeLength && name[0] >= 'a' && name[0] <= 'z'
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
	}
	if !ok {
		return fieldErrorf(field, "%q does not match ^[a-z][a-z0-9_-]{0,99}$", clip(name))
	}
	if name == "definitions" || name == "schedules" {
		return fieldErrorf(field, "%q is reserved: topic workflow.%s is the engine's own", name, name)
	}
	return checkCollision(field, name)
}

// checkCollision refuses a type whose event topic Kafka would take for a topic
// of another type: to it workflow.x_state and workflow.x.state are the same.
func checkCollision(field, name string) error {
	for _, suffix := range []string{"_commands", "_state", "_outcomes"} {
		if other, ends := strings.CutSuffix(name, suffix); ends {
			return fieldErrorf(field, "%q ends in %s: Kafka takes dots and underscores for the same and would confuse its topic with one of type %q",
				clip(name), suffix, clip(other))
		}
	}
	return nil
}

// CheckQueue holds `^[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}$`, so that tasks.<queue> is
// a legal topic name.
func CheckQueue(field, name string) error {
	if name == "" {
		return fieldErrorf(field, "is missing")
	}
	ok := len(name) <= MaxTypeLength && name[0] != '_' && name[0] != '-'
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
	}
	if !ok {
		return fieldErrorf(field, "%q does not match ^[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}$", clip(name))
	}
	return nil
}

// checkPayload refuses what is not one JSON value of bounded size; nil is no payload.
func checkPayload(field string, payload json.RawMessage) error {
	switch {
	case payload == nil:
		return nil
	case len(payload) > MaxPayloadLength:
		return fieldErrorf(field, "is %d bytes, at most %d: keep large content elsewhere and send a reference", len(payload), MaxPayloadLength)
	default:
		return checkJSON(field, payload)
	}
}

// checkDetails is checkPayload for the details of a heartbeat.
func checkDetails(details json.RawMessage) error {
	if len(details) > MaxDetailsLength {
		return fieldErrorf("heartbeat_details", "is %d bytes, at most %d: keep large content elsewhere and send a reference", len(details), MaxDetailsLength)
	}
	return checkJSON("heartbeat_details", details)
}

func checkJSON(field string, payload json.RawMessage) error {
	switch {
	case payload == nil:
		return nil
	case !json.Valid(payload):
		return fieldErrorf(field, "is not JSON")
	case !utf8.Valid(payload): // json.Valid lets any byte pass inside strings
		return fieldErrorf(field, "is not valid UTF-8")
	}
	return nil
}

func checkLength(field, value string, most int) error {
	if len(value) > most {
		return fieldErrorf(field, "is %d bytes, at most %d", len(value), most)
	}
	return nil
}

func checkName(field, value string) error {
	if value == "" {
		return fieldErrorf(field, "is missing")
	}
	return checkLength(field, value, MaxNameLength)
}

func checkTime(field string, t time.Time) error {
	if t.IsZero() {
		return fieldErrorf(field, "is missing")
	}
	return nil
}

// Instant is t as the wire keeps it: UTC, in whole microseconds. Use it on
// every time that goes into a record, so that a round trip changes nothing.
func Instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// FieldError says which field of a record is wrong, and why. Field is the path
// as it is spelled on the wire, such as "result.attempt". It never holds the
// content of a payload.
type FieldError struct {
	Field  string
	Reason string
}

// Error reads "field: reason".
func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// fieldErrorf builds a FieldError.
func fieldErrorf(field, format string, args ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// inField puts a parent path in front of the field that an error names.
func inField(parent string, err error) error {
	if err == nil {
		return nil
	}
	if field, ok := errors.AsType[*FieldError](err); ok {
		return &FieldError{Field: parent + "." + field.Field, Reason: field.Reason}
	}
	return &FieldError{Field: parent, Reason: err.Error()}
}

// firstError is the first of the checks that failed, or nil.
func firstError(checks ...error) error {
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkEnum refuses a value outside its closed set.
func checkEnum[E ~string](field string, value E, set []E) error {
	if slices.Contains(set, value) {
		return nil
	}
	names := make([]string, len(set))
	for i, v := range set {
		names[i] = string(v)
	}
	return fieldErrorf(field, "%q is none of %s", clip(string(value)), strings.Join(names, ", "))
}

// checkOptionalEnum is checkEnum for a field that may be left out.
func checkOptionalEnum[E ~string](field string, value E, set []E) error {
	if value == "" {
		return nil
	}
	return checkEnum(field, value, set)
}

// checkID refuses the nil UUID.
func checkID(field string, id UUID) error {
	if id.IsNil() {
		return fieldErrorf(field, "is missing (the nil UUID names nothing)")
	}
	return nil
}
