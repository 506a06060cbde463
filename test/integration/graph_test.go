package integration

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

const tasks = `
leat: v1
type: tasks
version: 1
initial: work
states:
  work:
    tasks:
      fetch: {task: io.fetch}
      left:  {task: cpu.half, needs: [fetch], input: {of: results.fetch.n}}
      right: {task: cpu.half, needs: [{task: fetch, type: hard}], input: {of: results.fetch.n}}
      join:  {task: io.join, needs: [left, right], input: {sum: results.left.n + results.right.n}}
      bonus: {task: io.mail, needs: [{task: join, condition: "results.join.n > 1000"}]}
      clean: {task: io.clean, needs: [{task: bonus, type: soft}, {task: left, type: soft}]}
    onDone: done
    onError: failed
  done: {type: final}
  failed: {type: final, outcome: failed}
`

// needs are what tasks says of hard and soft arrows, by invocation.
var needs = map[string][]string{
	"left": {"fetch"}, "right": {"fetch"}, "join": {"left", "right"}, "clean": {"left", "join"}, // clean waits for bonus, which waits for join
}

// diary is what executors did, in the order in which they did it.
type diary struct {
	mu    sync.Mutex
	lines map[string][]string // by instance: "+left one", "-left one"
	both  map[string]chan struct{}
}

func (d *diary) write(t executor.Task, sign, node string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines[t.InstanceKey] = append(d.lines[t.InstanceKey], sign+t.Invocation+" "+node)
}

// had reports whether an executor has begun a task.
func (d *diary) had(node string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, lines := range d.lines {
		if slices.ContainsFunc(lines, func(line string) bool { return strings.HasSuffix(line, " "+node) }) {
			return true
		}
	}
	return false
}

// meet waits until the other half of the instance runs as well.
func (d *diary) meet(ctx context.Context, key string) error {
	d.mu.Lock()
	other, second := d.both[key]
	if !second {
		other = make(chan struct{})
		d.both[key] = other
	} else {
		close(other)
	}
	d.mu.Unlock()
	select {
	case <-other:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A graph of tasks runs on several executors: nothing begins before what it
// needs has ended, and what does not depend on each other runs at the same time.
func TestAGraphOfTasksOnSeveralExecutors(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(tasks)
		w.router("r1")
		d := &diary{lines: make(map[string][]string), both: make(map[string]chan struct{})}
		handler := func(node string, n func(t executor.Task) (int, error)) executor.Handler {
			return func(ctx context.Context, t executor.Task) (executor.Result, error) {
				d.write(t, "+", node)
				defer d.write(t, "-", node)
				if t.TaskName == "cpu.half" {
					if err := d.meet(ctx, t.InstanceKey); err != nil {
						return nil, err
					}
				}
				result, err := n(t)
				return map[string]int{"n": result}, err
			}
		}
		io := func(t executor.Task) (int, error) { return map[string]int{"fetch": 42, "join": 1}[t.Invocation], nil }
		half := func(t executor.Task) (int, error) {
			var in struct{ Of int }
			return in.Of / 2, t.Decode(&in)
		}
		for _, node := range []string{"one", "two"} {
			w.executor(map[string]executor.Handler{"cpu.half": handler(node, half)}, func(c *executor.Config) { c.NodeID = node })
		}
		w.executor(map[string]executor.Handler{"io.*": handler("three", io)}, func(c *executor.Config) { c.NodeID = "three" })
		ran, instances := make(map[string]bool), 0
		more := func() {
			for range 8 {
				w.do(client.StartRequest{Type: "tasks", Key: strconv.Itoa(instances)})
				instances++
			}
			w.end("tasks", strconv.Itoa(instances-1))
		}
		more()
		w.until(func() error { // the group has let both in
			if d.had("one") && d.had("two") {
				return nil
			}
			more()
			return errors.New("one of two executors of the queue has had no task")
		})
		for i := range instances {
			key := strconv.Itoa(i)
			if s := w.end("tasks", key); s.State != events.WorkflowCompleted {
				w.Fatalf("instance %s is %s: %v", key, s.State, s.Error)
			}
			d.mu.Lock()
			lines := slices.Clone(d.lines[key])
			d.mu.Unlock()
			w.inOrder(key, lines, ran)
			short := kinds(w.history("tasks", key))
			for _, want := range []string{"dependency.resolved", "task.skipped bonus/0"} {
				if !slices.ContainsFunc(short, func(kind string) bool { return strings.HasPrefix(kind, want) }) {
					w.Errorf("instance %s: no %s in %v", key, want, short)
				}
			}
		}
		if len(ran) != 3 {
			w.Errorf("ran on %v", ran)
		}
		w.audit(finished(instances))
	})
}

// inOrder checks what was done for one instance, each task once.
func (w *world) inOrder(key string, lines []string, ran map[string]bool) {
	w.Helper()
	begun, ended := make(map[string]int), make(map[string]int)
	for at, line := range lines {
		invocation, node, _ := strings.Cut(line[1:], " ")
		ran[node] = true
		if line[0] == '-' {
			ended[invocation] = at
			continue
		}
		begun[invocation] = at
		for _, need := range needs[invocation] {
			if _, ok := ended[need]; !ok {
				w.Errorf("instance %s: %s began before %s had ended: %v", key, invocation, need, lines)
			}
		}
	}
	if len(lines) != 10 || len(ended) != 5 {
		w.Errorf("instance %s: not every task ran once: %v", key, lines)
	}
	if begun["left"] > ended["right"] || begun["right"] > ended["left"] {
		w.Errorf("instance %s: the halves ran one after the other: %v", key, lines)
	}
}
