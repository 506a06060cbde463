package decide

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/leat-io/leat/pkg/events"
)

// The scripts reach every event type and every task state, apart from those that
// nothing leads to yet. The expected output of a script is what is decided
// ([TestDecide], fsm's TestScripts), so that what stands in it is reached.
func TestScriptsReachEverything(t *testing.T) {
	for _, set := range []struct {
		name    string
		files   string
		found   string // what a script shows: the first group that is not empty
		members []string
		notYet  []string
	}{
		{
			"event type", "testdata/decide/*.txt", `(?m)^\d+ ([a-z]+\.[a-z]+)`, texts(events.EventTypes()),
			[]string{"resource.released"},
		},
		{
			"task state", "../../pkg/fsm/testdata/scripts/*.txt", `(?m)^task \S+ [a-z_]+ -> ([a-z_]+) attempt|:([a-z_]+)/\d`,
			texts(events.TaskStates()),
			[]string{"waiting_for_input"},
		},
	} {
		reached := make(map[string]bool)
		files, err := filepath.Glob(set.files)
		if err != nil || len(files) == 0 {
			t.Fatalf("no scripts in %s: %v", set.files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range regexp.MustCompile(set.found).FindAllStringSubmatch(string(text), -1) {
				for _, group := range match[1:] {
					reached[group] = true
				}
			}
		}
		for _, member := range set.members {
			switch waits := slices.Contains(set.notYet, member); {
			case !reached[member] && !waits:
				t.Errorf("%s %s: no script in %s reaches it", set.name, member, set.files)
			case reached[member] && waits:
				t.Logf("%s %s is reached now: take it out of this test's notYet", set.name, member)
			}
		}
	}
}

func texts[E ~string](set []E) []string {
	out := make([]string, len(set))
	for i, v := range set {
		out[i] = string(v)
	}
	return out
}
