package client

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/leat-io/leat/internal/jsonfit"
	"github.com/leat-io/leat/pkg/events"
)

// encodeValue is the JSON of what a user hands in; nil for nothing.
func encodeValue(field string, v any) (json.RawMessage, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case json.RawMessage:
		return v, nil
	case []byte:
		return nil, fmt.Errorf("%s is a []byte: give JSON text as json.RawMessage, and bytes as a string in an encoding of your choice", field)
	}
	text, err := events.EncodeJSON(v)
	if err != nil {
		return nil, fmt.Errorf("%s does not encode to JSON: %w", field, err)
	}
	return text, nil
}

// decodeResult reads an instance's output into what a user hands in.
func decodeResult(output json.RawMessage, into any) error {
	if into == nil || len(output) == 0 {
		return nil
	}
	if raw, ok := into.(*json.RawMessage); ok {
		*raw = bytes.Clone(output)
		return nil
	}
	err := json.Unmarshal(output, into)
	if err == nil {
		return nil
	}
	at := jsonfit.Find(output, into, err)
	if misfit, ok := errors.AsType[*json.UnmarshalTypeError](at.Err); ok {
		return newError(ErrResult, err, "the result does not fit %T: %s is %s, which is no %s",
			into, cmp.Or(at.Path, "it"), at.Shown(shownValue), misfit.Type)
	}
	return newError(ErrResult, err, "the result does not fit %T: %v", into, err)
}

// shownValue is how much of a value an error shows, in bytes.
const shownValue = 64
