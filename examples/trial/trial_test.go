// Package trial tests a workflow that lasts for weeks: what
// docs/how-to/test-a-workflow.md explains.
package trial

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/executor"
	"github.com/leat-io/leat/pkg/leattest"
)

// mails stands for the mail server, and for what it does.
type mails struct{ sent []string }

type User struct {
	Email string `json:"email"`
}

func (m *mails) welcome(ctx context.Context, to User) (any, error) {
	if executor.TaskFrom(ctx).Attempt < 3 {
		return nil, errors.New("the mail server is busy")
	}
	m.sent = append(m.sent, "welcome "+to.Email)
	return nil, nil
}

func (m *mails) remind(_ context.Context, to User) (any, error) {
	m.sent = append(m.sent, "remind "+to.Email)
	return nil, nil
}

func start(t *testing.T, env *leattest.Env) (*client.Run, *mails) {
	t.Helper()
	m := new(mails)
	env.Handle("mail.welcome", m.welcome)
	env.Handle("mail.remind", m.remind)
	env.Deploy("trial.yaml")
	run, err := env.Client().Start(t.Context(), client.StartRequest{Type: "trial", Key: "ada", Input: User{"ada@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	return run, m
}

func TestNobodyAnswers(t *testing.T) {
	leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
		began := time.Now()
		run, m := start(t, env)
		end, err := client.Result[string](t.Context(), run) // 37 days later
		if err != nil || end != "expired" {
			t.Fatalf("%q, %v", end, err)
		}
		if days := int(time.Since(began).Hours() / 24); days != 37 {
			t.Errorf("it took %d days", days)
		}
		if want := []string{"welcome ada@example.com", "remind ada@example.com"}; !slices.Equal(m.sent, want) {
			t.Errorf("sent %q", m.sent)
		}
	})
}

func TestSubscribesAfterTheReminder(t *testing.T) {
	leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
		run, _ := start(t, env)
		env.WaitState("trial", "ada", "deciding")
		time.Sleep(3 * 24 * time.Hour) // it is virtual, too
		if err := run.Signal(t.Context(), "subscribe", nil); err != nil {
			t.Fatal(err)
		}
		if end, err := client.Result[string](t.Context(), run); err != nil || end != "subscribed" {
			t.Fatalf("%q, %v", end, err)
		}
	})
}

// Real time, for what is outside of the test: other programs, servers, databases.
func TestSubscribesAtOnce(t *testing.T) {
	env := leattest.Start(t)
	env.Handle("mail.welcome", func(context.Context, User) (any, error) { return nil, nil })
	env.Deploy("trial.yaml")
	run, err := env.Client().Start(t.Context(), client.StartRequest{Type: "trial", Key: "bob", Input: User{"bob@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	env.WaitState("trial", "bob", "trying")
	if err := run.Signal(t.Context(), "subscribe", nil); err != nil {
		t.Fatal(err)
	}
	if end, err := client.Result[string](t.Context(), run); err != nil || end != "subscribed" {
		t.Fatalf("%q, %v", end, err)
	}
}

func TestCases(t *testing.T) { leattest.Cases(t, "trial_cases.json") }
