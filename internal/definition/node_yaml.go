package definition

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
)

// parseYAML uses the YAML library whose time grows with the size of the file:
// goccy/go-yaml v1.19.2 takes a minute for 100 kB of "[".
func parseYAML(src []byte) (*node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &problem{fsm.Pos{Line: 1, Col: 1}, "syntax", "the file is empty"}
		}
		return nil, yamlProblem(err)
	}
	var second yaml.Node
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, yamlProblem(err)
		}
		return nil, &problem{fsm.Pos{Line: second.Line, Col: second.Column}, "syntax", "a file holds one definition: this is a second document"}
	}
	if len(document.Content) != 1 {
		return nil, &problem{fsm.Pos{Line: 1, Col: 1}, "syntax", "the file is empty"}
	}
	return fromYAML(document.Content[0], 0)
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (?:column (\d+): )?`)

func yamlProblem(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	pos := fsm.Pos{Line: 1, Col: 1}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		pos.Line, _ = strconv.Atoi(m[1])
		if m[2] != "" {
			pos.Col, _ = strconv.Atoi(m[2])
		}
		text = text[len(m[0]):]
	}
	return &problem{pos, "syntax", "this is not YAML: " + text}
}

func fromYAML(y *yaml.Node, depth int) (*node, error) {
	pos := fsm.Pos{Line: y.Line, Col: y.Column}
	switch {
	case depth > maxNodeDepth:
		return nil, &problem{pos, "too-deep", fmt.Sprintf("values are nested more than %d deep", MaxDepth)}
	case y.Kind == yaml.AliasNode:
		return nil, &problem{pos, "alias", "aliases are not part of a definition: write the value out"}
	case y.Anchor != "":
		return nil, &problem{pos, "alias", "anchors are not part of a definition"}
	}
	n := &node{pos: pos, text: y.Value}
	switch y.Kind {
	case yaml.ScalarNode:
		return n, n.scalar(y)
	case yaml.SequenceNode:
		n.kind = kindList
		for _, item := range y.Content {
			child, err := fromYAML(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, child)
		}
		return n, nil
	case yaml.MappingNode:
		n.kind = kindMap
		return n, n.mapping(y, depth)
	default:
		return nil, &problem{pos, "syntax", "this kind of value is not part of a definition"}
	}
}

func (n *node) mapping(y *yaml.Node, depth int) error {
	seen := make(map[string]int, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := y.Content[i]
		pos := fsm.Pos{Line: key.Line, Col: key.Column}
		switch {
		case key.Kind == yaml.AliasNode || key.Anchor != "":
			return &problem{pos, "alias", "anchors and aliases are not part of a definition"}
		case key.Kind != yaml.ScalarNode:
			return &problem{pos, "syntax", "a key is text"}
		case key.ShortTag() == "!!merge":
			return &problem{pos, "alias", "merge keys are not part of a definition: write the fields out"}
		}
		if line, twice := seen[key.Value]; twice {
			return &problem{pos, "duplicate-key", fmt.Sprintf("key %q is there twice: first on line %d", key.Value, line)}
		}
		seen[key.Value] = key.Line
		child, err := fromYAML(y.Content[i+1], depth+1)
		if err != nil {
			return err
		}
		n.keys = append(n.keys, &node{pos: pos, kind: kindText, text: key.Value})
		n.items = append(n.items, child)
	}
	return nil
}

func (n *node) scalar(y *yaml.Node) error {
	n.quoted = y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0
	switch y.ShortTag() {
	case "!!null":
		n.kind = kindNull
	case "!!bool":
		var b bool
		if err := y.Decode(&b); err != nil {
			return &problem{n.pos, "syntax", err.Error()}
		}
		n.kind, n.value = kindBool, b
	case "!!int":
		var i int64
		if err := y.Decode(&i); err != nil {
			return &problem{n.pos, "syntax", clip(y.Value) + " does not fit a 64-bit integer"}
		}
		n.kind, n.value = kindInt, i
	case "!!float":
		if strings.Trim(y.Value, "+-0123456789") == "" { // the library makes doubles of long integers
			return &problem{n.pos, "syntax", clip(y.Value) + " does not fit a 64-bit integer"}
		}
		var f float64
		if err := y.Decode(&f); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return &problem{n.pos, "syntax", clip(y.Value) + " is not a finite number"}
		}
		if _, same, err := events.ParseDouble(strings.TrimPrefix(y.Value, "+")); err == nil && !same {
			return &problem{n.pos, "syntax", clip(y.Value) + " is not a double: write one that is, or text"}
		}
		n.kind, n.value = kindFloat, f
	case "!!str", "!!timestamp":
		n.kind = kindText
	default:
		return &problem{n.pos, "syntax", fmt.Sprintf("tag %s is not part of a definition", y.ShortTag())}
	}
	return nil
}
