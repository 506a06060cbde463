package cel_test

import (
	"strings"
	"testing"
)

// Every operation costs what it looks at: what is done often with much is
// refused, whatever the operator, and what is done once is not.
func TestOperationsCostWhatTheyLookAt(t *testing.T) {
	numbers := "[" + strings.TrimSuffix(strings.Repeat("1,", 50_000), ",") + "]"
	text := strings.Repeat("n", 200_000)
	input := `{"a":` + numbers + `,"b":` + numbers + `,"deep":[[` + numbers + `]],"same":[[` + numbers + `]],"s":"` + text + `","t":"` + text + `"}`
	for _, part := range []string{
		"input.a == input.b", "!(input.a != input.b)", "input.deep == input.same", "input.s == input.t", "input.s <= input.t",
		"!(2 in input.a)", "!input.s.contains('x')", "input.s.startsWith(input.t)", "input.s.endsWith(input.t)",
		"!input.s.matches('x')", "size(input.s) > 1", "string(input.s) != ''", "input.s + input.t != ''", "input == input",
	} {
		if got, err := eval(t, part, input); err != nil || got != "true" {
			t.Errorf("%s: got %s, %v", part, got, err)
		}
		times := min(95, 8000/(len(part)+4))
		if _, err := eval(t, "[1,2,3,4,5,6,7,8,9,10].all(x, "+strings.Repeat(part+" && ", times)+"true)", input); err == nil {
			t.Errorf("%s %d times is not refused", part, 10*times)
		}
	}
}

// A pattern is compiled only when that is small.
func TestPatternsAreBounded(t *testing.T) {
	if _, err := eval(t, "'x'.matches('"+strings.Repeat("x{999}y", 11)+"')", `{}`); err == nil {
		t.Error("a literal pattern of 11,000 steps compiles")
	}
	if _, err := eval(t, "'x'.matches(input.p)", `{"p":"`+strings.Repeat("x{999}y", 11)+`"}`); err == nil {
		t.Error("a pattern of 11,000 steps in the input is compiled")
	}
	if got, err := eval(t, "'xxx'.matches(input.p)", `{"p":"^x{1,999}$"}`); err != nil || got != "true" {
		t.Errorf("got %s, %v", got, err)
	}
}
