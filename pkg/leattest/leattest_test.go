package leattest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/executor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const trial = `leat: v1
type: trial
version: 1
initial: greeting
states:
  greeting:
    invoke: {task: mail.greet, onDone: waiting, onError: failed}
  waiting:
    after: {720h: reminding}
  reminding:
    invoke: {task: mail.remind, onDone: done, onError: failed}
  done: {type: final}
  failed: {type: final, outcome: failed}
`

// monthly runs an instance of trial, and says what came of it, and when.
func monthly(t *testing.T, env *Env) (story []string) {
	env.Handle("mail.greet", func(context.Context, executor.Task) (executor.Result, error) { return "hi", nil })
	env.Handle("mail.remind", func(context.Context, executor.Task) (executor.Result, error) { return "still here?", nil })
	env.DeploySource(trial)
	began := time.Now()
	if _, err := env.Client().Start(t.Context(), client.StartRequest{Type: "trial", Key: "a"}); err != nil {
		t.Fatal(err)
	}
	for e, err := range env.Client().Follow(t.Context(), "trial", "a", 1) {
		if err != nil {
			t.Fatal(err)
		}
		story = append(story, fmt.Sprint(time.Since(began).Round(time.Second), " ", e.EventType))
	}
	return story
}

func TestThirtyDays(t *testing.T) {
	began := time.Now()
	var first []string
	Virtual(t, func(t *testing.T, env *Env) { first = monthly(t, env) })
	t.Logf("took %s: %q", time.Since(began), first)
	for i := range 5 {
		Virtual(t, func(t *testing.T, env *Env) {
			if story := monthly(t, env); !slices.Equal(story, first) {
				t.Errorf("run %d: %q", i, story)
			}
		})
	}
}
