package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
)

// shows repeats a command until it shows a text.
func (p *process) shows(t *testing.T, text string, args ...string) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	late := time.After(30 * time.Second)
	for {
		out := p.must(t, args...)
		if strings.Contains(out, text) {
			return
		}
		select {
		case <-poll.C:
		case <-late:
			t.Fatalf("leat %v does not show %q:\n%s", args, text, out)
		}
	}
}

// An attempt that is put down says until when it waits, and which questions are
// open; a person answers one as any task, and the attempt goes on with it.
func TestAttemptsThatArePutDown(t *testing.T) {
	p := startDev(t, t.TempDir())
	e, err := executor.New(executor.Config{Brokers: []string{p.ready.Kafka}})
	if err != nil {
		t.Fatal(err)
	}
	e.HandleTask("bank.refund", func(ctx context.Context, task executor.Task) (executor.Result, error) {
		answers := executor.Answers(ctx)
		switch {
		case task.InstanceKey == "slow":
			return nil, executor.Continue("the transfer", 24*time.Hour)
		case answers == nil:
			return nil, executor.Ask(nil,
				executor.Question{ID: "sure", Message: "Refund 500?", Assignee: "ann"}, executor.Question{ID: "why", Message: "And why?"})
		}
		return answers, nil
	})
	p.must(t, "def", "deploy", "testdata/ask.yaml")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for _, key := range []string{"slow", "asks"} {
		p.must(t, "start", "refund", "--key", key)
	}
	p.shows(t, "goes on at ", "get", "refund", "slow")
	p.shows(t, "goes on at ", "task", "list", "--state", "scheduled")
	out := p.must(t, "get", "refund", "slow", "-o", "json")
	if !strings.Contains(out, `"resume_at"`) || !strings.Contains(out, `"continuation": "the transfer"`) {
		t.Errorf("it is\n%s", out)
	}
	if out = p.must(t, "history", "refund", "slow"); !strings.Contains(out, "put_down=true") || !strings.Contains(out, "resume_at=") {
		t.Errorf("the history is\n%s", out)
	}

	p.shows(t, "answers to pay/sure, pay/why", "get", "refund", "asks")
	out = p.must(t, "task", "list", "--assignee", "ann")
	if !strings.Contains(out, "pay/sure") || !strings.Contains(out, "an answer of ann: Refund 500?") || strings.Contains(out, "pay/why") {
		t.Errorf("ann's tasks are\n%s", out)
	}
	var asked []struct {
		AskedBy    events.UUID `json:"asked_by"`
		Invocation string      `json:"invocation"`
	}
	decode(t, p.must(t, "task", "list", "--assignee", "ann", "-o", "json"), &asked)
	if len(asked) != 1 || asked[0].AskedBy.IsNil() {
		t.Errorf("ann is asked %+v", asked)
	}
	p.must(t, "task", "complete", "refund", "asks", "pay/sure", "--result", "true", "--as", "ann")
	p.shows(t, "answers to pay/why", "get", "refund", "asks")
	p.must(t, "task", "fail", "refund", "asks", "pay/why", "--code", "SECRET", "--as", "bob")
	p.shows(t, "paid", "get", "refund", "asks")
	if out := p.must(t, "history", "refund", "asks", "-o", "json"); !strings.Contains(out, `"SECRET"`) || !strings.Contains(out, `"again": true`) {
		t.Errorf("the history is\n%s", out)
	}
}
