package main

import (
	"context"
	"strings"

	"github.com/leat-io/leat/examples/internal/batch"
	"github.com/leat-io/leat/pkg/executor"
)

// handle gives w the tasks. Each may run more than once, so each effect is written
// under the task's key.
func handle(w *executor.Executor, b batch.Book) {
	o := office{b}
	executor.Handle(w, "accounts.create", o.create)
	executor.Handle(w, "accounts.grant", o.grant)
	executor.Handle(w, "mail.confirm", o.mail)
	executor.Handle(w, "mail.remind", o.mail)
	executor.Handle(w, "mail.greet", o.mail)
}

// office does the tasks.
type office struct{ book batch.Book }

type account struct {
	Account string `json:"account"`
}

type newcomer struct{ Email, Name string }

func (o office) create(ctx context.Context, who newcomer) (account, error) {
	if strings.HasPrefix(who.Email, again) {
		return account{}, batch.Failed("ADDRESS_TAKEN", "there is an account for this address")
	}
	made := account{"account-" + executor.TaskFrom(ctx).InstanceKey}
	return made, o.book.Write(ctx, made)
}

type plan struct{ Account, Plan string }

func (o office) grant(ctx context.Context, p plan) (any, error) { return nil, o.book.Write(ctx, p) }

type letter struct{ To, Text, Account string }

// mail stands for a mail server, which is busy now and then.
func (o office) mail(ctx context.Context, l letter) (any, error) {
	if executor.TaskFrom(ctx).Attempt == 1 && strings.Contains(l.To, "7") {
		return nil, batch.Busy("the mail server asks for patience")
	}
	return nil, o.book.Write(ctx, map[string]string{"to": l.To})
}
