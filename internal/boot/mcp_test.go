package boot

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/problem"
)

func TestMCPCommands(t *testing.T) {
	t.Setenv("FILES_TOKEN", "s3cret")
	all, err := mcpCommands(
		[]string{"files=/opt/files '/data dir' --x", "time=/usr/bin/time-server"},
		[]string{"files=HOME=/tmp", "files=TOKEN=a=b", "files=FILES_TOKEN"},
	)
	if err != nil {
		t.Fatal(err)
	}
	if got := all["files"]; !slices.Equal(got.Argv, []string{"/opt/files", "/data dir", "--x"}) || !slices.Equal(got.Env, []string{"HOME=/tmp", "TOKEN=a=b", "FILES_TOKEN=s3cret"}) {
		t.Errorf("%+v", got)
	}
	if got := all["time"]; len(got.Env) != 0 {
		t.Errorf("a command gets what it was not given: %+v", got)
	}
}

// What is wrong is said without the values.
func TestMCPCommandMistakes(t *testing.T) {
	const good = "files=/opt/files"
	for _, c := range []struct {
		commands, env []string
		says          string
	}{
		{[]string{"/opt/files"}, nil, "NAME=/path"},
		{[]string{"files="}, nil, "NAME=/path"},
		{[]string{"a b=/opt/files"}, nil, "has no name"},
		{[]string{"files=npx server"}, nil, "no absolute path"},
		{[]string{"files='/opt"}, nil, "not closed"},
		{[]string{good, good}, nil, "twice"},
		{[]string{good}, []string{"other=TOKEN=hunter2"}, `command "other"`},
		{[]string{good}, []string{"files=NO_SUCH_VARIABLE_HERE"}, "not set"},
		{[]string{good}, []string{"files"}, "NAME=VAR"},
		{[]string{good}, []string{"files==hunter2"}, "NAME=VAR"},
	} {
		_, err := mcpCommands(c.commands, c.env)
		p, ok := errors.AsType[*problem.Problem](err)
		if !ok || !strings.Contains(p.What+p.Why, c.says) || strings.Contains(p.What+p.Why+p.Fix, "hunter2") {
			t.Errorf("%v %v: %v", c.commands, c.env, err)
		}
	}
}
