package boot

import (
	"strings"
	"testing"
)

func TestSplitArgs(t *testing.T) {
	for line, want := range map[string][]string{
		"":                      nil,
		"a":                     {"a"},
		" a  b ":                {"a", "b"},
		`a 'b c' "d e"`:         {"a", "b c", "d e"},
		`a\ b 'c\d' "e\"f" ''`:  {"a b", `c\d`, `e"f`, ""},
		`x --opt="two words" y`: {"x", "--opt=two words", "y"},
	} {
		got, err := splitArgs(line)
		if err != nil || strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
			t.Errorf("%q gives %q, %v; want %q", line, got, err, want)
		}
	}
	for _, line := range []string{`'a`, `a "b`, `a\`} {
		if got, err := splitArgs(line); err == nil {
			t.Errorf("%q gives %q without an error", line, got)
		}
	}
}
