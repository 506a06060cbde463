//go:build unix

package workers

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// language is one example.
type language struct {
	name       string
	workflow   string
	definition string
	// program says how to run the example, or why this machine cannot.
	program func(*testing.T) (argv []string, missing string)
	// start is what begins an instance that takes so many seconds.
	start func(key, seconds string) (args, env []string)
	want  string // its result
}

var languages = []language{
	{
		name: "python", workflow: "wordcount", definition: "examples/python/wordcount.yaml",
		program: func(*testing.T) ([]string, string) {
			if _, err := exec.LookPath("python3"); err != nil {
				return nil, "python3 is not installed"
			}
			return []string{"python3", filepath.Join(root, "examples/python/worker.py")}, ""
		},
		start: func(key, seconds string) (args, env []string) {
			return []string{"start", key, "how many words are these", seconds}, nil
		},
		want: `{"words": 5}`,
	},
	{
		name: "typescript", workflow: "invoice", definition: "examples/typescript/invoice.yaml",
		program: typescript,
		start: func(key, seconds string) (args, env []string) {
			return []string{"start", key, "12.50", "3"}, []string{"SECONDS=" + seconds}
		},
		want: `{"total":15.5}`,
	},
}

// typescript compiles the worker where there is a compiler, and else lets Node
// strip the types, which old ones cannot.
func typescript(t *testing.T) ([]string, string) {
	t.Helper()
	source, err := filepath.Abs(filepath.Join(root, "examples/typescript"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("node"); err != nil {
		return nil, "node is not installed"
	}
	if _, err := exec.LookPath("tsc"); err == nil {
		out := t.TempDir()
		if text, err := exec.CommandContext(t.Context(), "tsc", "-p", source, "--outDir", out).CombinedOutput(); err != nil {
			t.Fatalf("the example is no TypeScript: %v\n%s", err, text)
		}
		return []string{"node", filepath.Join(out, "worker.mjs")}, ""
	}
	if exec.CommandContext(t.Context(), "node", "-e", "process.exit(process.features.typescript ? 0 : 1)").Run() == nil {
		return []string{"node", filepath.Join(source, "worker.mts")}, ""
	}
	return nil, "there is no tsc, and this node cannot run TypeScript (22.18 and newer can)"
}

// A worker in another language runs a task from its start to its result. One that
// is killed in the middle of a task loses nothing: another gets the next attempt.
func TestWorkers(t *testing.T) {
	for name, begin := range engines {
		t.Run(name, func(t *testing.T) {
			e := begin(t)
			for _, l := range languages {
				t.Run(l.name, func(t *testing.T) {
					t.Parallel()
					l.play(t, e)
				})
			}
		})
	}
}

func (l language) play(t *testing.T, e engine) {
	t.Helper()
	argv, missing := l.program(t)
	switch {
	case missing != "" && os.Getenv("CI") != "":
		t.Fatalf("%s, and CI has to have it: see need in .ci/run", missing)
	case missing != "":
		t.Skip(missing)
	}
	with := func(args ...string) []string { return append(append([]string(nil), argv...), args...) }
	begin := func(key, seconds string) *program {
		args, env := l.start(key, seconds)
		return start(t, append(e.env(), env...), with(args...)...)
	}
	run(t, e.env(), bin(t, "leat"), "def", "deploy", filepath.Join(root, l.definition))

	// The brokers of a developer keep what was run before.
	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	first := start(t, e.env(), with("work")...)
	quick := begin("quick-"+run, "0")
	quick.until(l.want)
	first.until("/complete quick-" + run + " attempt 1 200")

	slow := begin("slow-"+run, "4") // longer than its heartbeat timeout
	first.until("/poll slow-" + run + " attempt 1")
	first.Kill()
	second := start(t, e.env(), with("work")...)
	slow.until(l.want)
	second.until("/complete slow-" + run + " attempt 2 200")
	if kinds := l.history(t, e, "slow-"+run); strings.Count(kinds, "task.completed") != 1 || strings.Count(kinds, "task.retry") != 1 {
		t.Errorf("the history is %s", kinds)
	}
}

// history is the kinds of an instance's events.
func (l language) history(t *testing.T, e engine, key string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.api+"/api/v1/instances/"+l.workflow+"/"+key+"/history", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var page struct {
		Items []struct {
			Type string `json:"event_type"`
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&page); err != nil {
		t.Fatal(err)
	}
	kinds := make([]string, 0, len(page.Items))
	for _, item := range page.Items {
		kinds = append(kinds, item.Type)
	}
	return strings.Join(kinds, " ")
}
