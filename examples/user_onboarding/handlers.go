package main

import (
	"strings"

	"github.com/leat-io/leat/examples/internal/batch"
	"github.com/leat-io/leat/pkg/executor"
)

// handlers are the tasks. Each may run more than once, so each effect is written
// under the task's key.
var handlers = map[string]batch.Handler{
	"accounts.create": create,
	"accounts.grant":  grant,
	"mail.confirm":    mail,
	"mail.remind":     mail,
	"mail.greet":      mail,
}

type account struct {
	Account string `json:"account"`
}

func create(t executor.Task, b batch.Book) (any, error) {
	var in struct{ Email, Name string }
	if err := t.Decode(&in); err != nil {
		return nil, err
	}
	if strings.HasPrefix(in.Email, again) {
		return nil, batch.Failed("ADDRESS_TAKEN", "there is an account for this address")
	}
	made := account{"account-" + t.InstanceKey}
	return made, b.Write(t, made)
}

func grant(t executor.Task, b batch.Book) (any, error) {
	var in struct{ Account, Plan string }
	if err := t.Decode(&in); err != nil {
		return nil, err
	}
	return nil, b.Write(t, in)
}

// mail stands for a mail server, which is busy now and then.
func mail(t executor.Task, b batch.Book) (any, error) {
	var in struct{ To, Text, Account string }
	if err := t.Decode(&in); err != nil {
		return nil, err
	}
	if t.Attempt == 1 && strings.Contains(in.To, "7") {
		return nil, batch.Busy("the mail server asks for patience")
	}
	return nil, b.Write(t, map[string]string{"to": in.To})
}
