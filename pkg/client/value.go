package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

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
	var misfit *json.UnmarshalTypeError
	if !errors.As(err, &misfit) {
		return newError(ErrResult, err, "the result does not fit %T: %v", into, err)
	}
	path, value := valueAt(output, misfit.Offset)
	return newError(ErrResult, err, "the result does not fit %T: %s is %s, which is no %s", into, path, value, misfit.Type)
}

// shownValue is how much of a value an error shows, in bytes.
const shownValue = 64

// valueAt finds the value that is read at an offset of a JSON text, and says
// where in the text it is, such as items[2].price.
func valueAt(text json.RawMessage, offset int64) (path, value string) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v := visitor{text: text, decoder: d, offset: offset}
	v.value("")
	if v.path == "" {
		v.path = "it"
	}
	if len(v.found) > shownValue {
		v.found = strings.ToValidUTF8(v.found[:shownValue], "") + "…"
	}
	return v.path, v.found
}

// visitor goes through a JSON text until it has come to an offset.
type visitor struct {
	text    json.RawMessage
	decoder *json.Decoder
	offset  int64
	over    bool
	path    string
	found   string
}

// value reads one value, which is at path.
func (v *visitor) value(path string) {
	before := v.decoder.InputOffset()
	token, err := v.decoder.Token()
	if err != nil {
		v.over = true
		return
	}
	delim, nested := token.(json.Delim)
	if v.decoder.InputOffset() >= v.offset {
		v.over, v.path = true, path
		v.found = whole(v.text[before:])
		return
	}
	for n := 0; nested && v.decoder.More(); n++ {
		at := path + "[" + strconv.Itoa(n) + "]"
		if delim == '{' {
			name, _ := v.decoder.Token()
			at = strings.TrimPrefix(fmt.Sprintf("%s.%v", path, name), ".")
		}
		if v.value(at); v.over {
			return
		}
	}
	if nested {
		_, _ = v.decoder.Token() // its end
	}
}

// whole is the first value of a text, behind what separates it from the one before.
func whole(text []byte) string {
	var value json.RawMessage
	if err := json.NewDecoder(io.LimitReader(bytes.NewReader(bytes.TrimLeft(text, " \t\r\n,:")), 1<<20)).Decode(&value); err != nil {
		return ""
	}
	return string(value)
}
