package definition

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/leat-io/leat/internal/cel"
)

// Bounds of the regular expressions in all JSON Schemas of one definition: every
// process that follows the definitions keeps them compiled. A step is about a
// hundred bytes.
const (
	maxPatterns     = 1000
	maxPatternSteps = 50_000
)

// patterns bounds the regular expressions of a schema before they are compiled.
// It reports false, with a finding at the one that is too much.
func (r *reader) patterns(n *node) bool {
	for i, item := range n.items {
		if n.kind == kindMap {
			switch key := n.keys[i]; {
			case key.text == "pattern" && item.kind == kindText:
				if !r.pattern(item, item.text) {
					return false
				}
			case key.text == "patternProperties" && item.kind == kindMap:
				for _, name := range item.keys {
					if !r.pattern(name, name.text) {
						return false
					}
				}
			}
		}
		if !r.patterns(item) {
			return false
		}
	}
	return true
}

func (r *reader) pattern(at *node, pattern string) bool {
	size := cel.PatternSize(pattern)
	r.patternCount++
	r.patternSteps += size
	switch {
	case size > cel.MaxPattern:
		r.errorf(at.pos, "bad-schema", "the pattern has more than %d steps when it is compiled: use smaller counts", cel.MaxPattern)
	case r.patternCount > maxPatterns:
		r.errorf(at.pos, "bad-schema", "the definition's schemas have more than %d patterns", maxPatterns)
	case r.patternSteps > maxPatternSteps:
		r.errorf(at.pos, "bad-schema", "the patterns of the definition's schemas have more than %d steps together when they are compiled: use smaller counts", maxPatternSteps)
	default:
		return true
	}
	return false
}

var errPattern = errors.New("the pattern is too large when it is compiled")

// compilePattern is the only way in which a schema compiles a pattern: also one
// that a payload brings, where the format of a text is "regex".
func compilePattern(pattern string) (jsonschema.Regexp, error) {
	if cel.PatternSize(pattern) > cel.MaxPattern {
		return nil, errPattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("compile pattern: %w", err)
	}
	return re, nil
}
