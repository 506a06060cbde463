package schema

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The bounds of a schema.
const (
	MaxBytes      = 256 << 10
	MaxDepth      = 64   // subschemas inside of subschemas
	MaxSubschemas = 4096 // of the whole document
	// MaxCost bounds how many subschemas are evaluated at one place of a value. It is
	// what `allOf: [{$ref: x}, {$ref: x}]`, a few levels deep, makes exponential.
	MaxCost = 10_000
	// maxUnfolded bounds the same over all places of a value, lists counted once.
	maxUnfolded = 200_000

	maxNesting  = 256  // of JSON in JSON: a default may be deeper than schemas are
	maxExponent = 1000 // of numbers: 1e999999 is short, and has a million digits
)

// Refusal is why a schema is not used.
type Refusal struct { //nolint:errname // it is a judgement
	Where string // a JSON pointer, "" for the whole
	Why   string
}

func (r *Refusal) Error() string {
	if r.Where == "" {
		return "the schema " + r.Why
	}
	return "the schema at " + r.Where + " " + r.Why
}

func refuse(where, format string, args ...any) *Refusal {
	return &Refusal{Where: where, Why: fmt.Sprintf(format, args...)}
}

// Guard refuses a schema that is no JSON, breaks a bound, evaluates itself at the
// place where it stands, or refers to another document. Its time is linear in the
// schema's length. A nil error is no proof that it can be compiled.
func Guard(raw []byte) error {
	_, err := guard(raw)
	return err
}

// guard also hands on what it decoded.
func guard(raw []byte) (any, error) {
	if len(raw) > MaxBytes {
		return nil, refuse("", "has %d bytes, at most %d are allowed", len(raw), MaxBytes)
	}
	value, err := decode(raw)
	if err != nil {
		return nil, refuse("", "%v", err)
	}
	w, err := walk(value)
	if err != nil {
		return nil, err
	}
	return value, w.bound()
}

// decode reads JSON whose nesting and numbers are bounded, numbers as texts.
func decode(raw []byte) (any, error) {
	if err := tame(raw); err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	return value, nil
}

// tame bounds what JSON costs before it is decoded. It reads bytes, so that what
// is not JSON passes: that is found later.
func tame(raw []byte) error {
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = stringEnd(raw, i)
		case '{', '[':
			if depth++; depth > maxNesting {
				return fmt.Errorf("is nested more than %d deep", maxNesting)
			}
		case '}', ']':
			depth--
		case 'e', 'E':
			if err := exponent(raw[i+1:]); err != nil {
				return err
			}
		}
	}
	return nil
}

// stringEnd is where the text that begins at i ends.
func stringEnd(raw []byte, i int) int {
	for i++; i < len(raw) && raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i
}

// exponent refuses the exponent of a number that rest begins with. (The e of true
// and false has no digits behind it.)
func exponent(rest []byte) error {
	end := 0
	for end < len(rest) && (rest[end] == '+' || rest[end] == '-' || rest[end] >= '0' && rest[end] <= '9') {
		end++
	}
	if end == 0 {
		return nil
	}
	if n, err := strconv.Atoi(string(rest[:end])); err != nil || n > maxExponent || n < -maxExponent {
		return fmt.Errorf("holds a number with the exponent %.20s, at most %d can be checked", rest[:end], maxExponent)
	}
	return nil
}
