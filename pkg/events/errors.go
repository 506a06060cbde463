package events

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

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
