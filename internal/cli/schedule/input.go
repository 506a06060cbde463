package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/leat-io/leat/pkg/events"
)

// documentKey is the key of a schedule's file. An empty one is not none: it is
// what a template leaves of an empty variable.
type documentKey string

// UnmarshalYAML implements [yaml.Unmarshaler].
func (k *documentKey) UnmarshalYAML(n *yaml.Node) error {
	var text string
	if err := n.Decode(&text); err != nil {
		return err
	}
	if *k = documentKey(text); text == "" {
		return fmt.Errorf("line %d: key is empty: leave it out, or give the workflows a key", n.Line)
	}
	return nil
}

// documentInput is the input of a schedule's file, as JSON. The YAML library would
// round what no double holds, and make times of dates.
type documentInput json.RawMessage

// MarshalJSON implements [json.Marshaler].
func (i documentInput) MarshalJSON() ([]byte, error) { return json.RawMessage(i).MarshalJSON() }

// UnmarshalYAML implements [yaml.Unmarshaler].
func (i *documentInput) UnmarshalYAML(n *yaml.Node) error {
	text, err := appendYAML(nil, n, 0)
	*i = text
	return err
}

// appendYAML writes a value of YAML as JSON, with the keys of a map in order.
func appendYAML(b []byte, n *yaml.Node, depth int) ([]byte, error) {
	const deepest = 100
	switch {
	case depth > deepest:
		return b, fmt.Errorf("line %d: the input is nested more than %d deep", n.Line, deepest)
	case len(b) > events.MaxPayloadLength: // the same alias may be there often
		return b, fmt.Errorf("line %d: the input is more than %d bytes", n.Line, events.MaxPayloadLength)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return appendYAML(b, n.Alias, depth+1)
	case yaml.SequenceNode:
		return appendYAMLList(b, n, depth)
	case yaml.MappingNode:
		return appendYAMLMap(b, n, depth)
	default:
		return appendYAMLScalar(b, n)
	}
}

func appendYAMLList(b []byte, n *yaml.Node, depth int) (_ []byte, err error) {
	b = append(b, '[')
	for i, item := range n.Content {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendYAML(b, item, depth+1); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

func appendYAMLMap(b []byte, n *yaml.Node, depth int) (_ []byte, err error) {
	var names []string
	values := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge":
			return b, fmt.Errorf("line %d: a key in the input is text", key.Line)
		case values[key.Value] != nil:
			return b, fmt.Errorf("line %d: key %q is there twice", key.Line, key.Value)
		}
		names = append(names, key.Value)
		values[key.Value] = n.Content[i+1]
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		text, err := events.EncodeJSON(name)
		if err != nil {
			return b, err
		}
		if b, err = appendYAML(append(append(b, text...), ':'), values[name], depth+1); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func appendYAMLScalar(b []byte, n *yaml.Node) ([]byte, error) {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle | yaml.TaggedStyle
	if n.Style&quoted == 0 && strings.Trim(n.Value, "0123456789+-.eE") == "" && json.Valid([]byte(n.Value)) {
		return append(b, n.Value...), nil // a number, with every digit
	}
	var value any
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		value = n.Value
	case "!!int", "!!float":
		if err := n.Decode(&value); err != nil {
			return b, err
		}
		if f, ok := value.(float64); ok && (math.IsInf(f, 0) || math.IsNaN(f) || !strings.ContainsAny(n.Value, ".eE")) {
			return b, fmt.Errorf("line %d: %s is not a number that JSON can hold", n.Line, n.Value)
		}
	default: // null, a truth value, bytes
		if err := n.Decode(&value); err != nil {
			return b, err
		}
	}
	text, err := events.EncodeJSON(value)
	if err != nil {
		return b, errors.Join(fmt.Errorf("line %d", n.Line), err)
	}
	return append(b, text...), nil
}
