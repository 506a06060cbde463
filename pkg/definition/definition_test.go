package definition_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/leat-io/leat/pkg/definition"
)

func ExampleParse() {
	const source = "leat: v1\ntype: light\nversion: 1\ninitial: off\nstates:\n  off: {on: {switch: on}}\n  on: {on: {switch: of}}\n"
	machine, findings, err := definition.Parse("light.yaml", []byte(source))
	fmt.Println(machine == nil, err != nil)
	for _, f := range findings {
		fmt.Println(f)
	}
	// Output:
	// true true
	// light.yaml:7:21: error: there is no state "of", did you mean "off"? [unknown-target]
}

func TestParse(t *testing.T) {
	machine, findings, err := definition.Parse("a", []byte("leat: v1\ntype: light\nversion: 3\ninitial: on\nstates: {on: {type: final}, off: {type: final}}\n"))
	if err != nil || machine.Type() != "light" || machine.Version() != 3 {
		t.Fatalf("%v %v", machine, err)
	}
	if len(findings) != 1 || findings[0].Severity != "warning" || findings[0].Line != 5 {
		t.Errorf("%v", findings)
	}
	if machine, _, err = definition.Parse("a", []byte("[")); machine != nil || err == nil || !strings.Contains(err.Error(), "a") {
		t.Errorf("%v %v", machine, err)
	}
}
