package router

import (
	"testing"
	"time"

	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/pkg/fsm"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func parse(t *testing.T, source string) *fsm.Machine {
	t.Helper()
	machine, findings, err := definition.Parse("test.yaml", []byte(source))
	if err != nil {
		t.Fatalf("%v %v", findings, err)
	}
	return machine
}
