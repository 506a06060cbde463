package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leat-io/leat/examples/internal/batch"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// What people are like, as their addresses tell.
const (
	again  = "again"  // has an account already
	silent = "silent" // reads no mail
	doubt  = "doubt"  // sales will not agree
)

// user is what an instance starts with.
type user struct {
	Email    string `json:"email"`
	Name     string `json:"name"`
	Plan     string `json:"plan"`
	Patience string `json:"patience"`
}

// end is where a user must end. Only the input decides.
func (u user) end() string {
	switch {
	case strings.HasPrefix(u.Email, again):
		return "address_taken"
	case strings.HasPrefix(u.Email, silent):
		return "never_confirmed"
	case u.Plan == "enterprise" && strings.HasPrefix(u.Email, doubt):
		return "refused"
	default:
		return "onboarded"
	}
}

// users are n new users. Those who read their mail confirm at once.
func users(n int) ([]batch.Instance, error) {
	out := make([]batch.Instance, n)
	for i := range out {
		who, plan := "user", "free"
		switch i % 10 {
		case 1, 4:
			plan = "team"
		case 2, 7:
			plan = "enterprise"
		case 3:
			who, plan = doubt, "enterprise"
		case 5, 8:
			who = silent
		case 6:
			who = again
		}
		u := user{Email: fmt.Sprintf("%s-%d@example.com", who, i), Name: fmt.Sprintf("User %d", i), Plan: plan, Patience: "1s"}
		input, err := json.Marshal(u)
		if err != nil {
			return nil, err
		}
		out[i] = batch.Instance{Key: fmt.Sprintf("user-%03d", i), Input: input, End: u.end()}
		if who != silent {
			out[i].Signal = "email_confirmed"
		}
	}
	return out, nil
}

// sales does every task that waits for sales, until ctx ends.
func sales(ctx context.Context, c *client.Client, _ []batch.Instance) error {
	const often = 300 * time.Millisecond
	for {
		if err := desk(ctx, c); err != nil && !errors.Is(err, client.ErrUnavailable) && !errors.Is(err, client.ErrProjector) && !errors.Is(err, client.ErrTimeout) {
			return err
		}
		if err := batch.Sleep(ctx, often); err != nil {
			return err
		}
	}
}

// desk does what waits now. A list may be older than what was done since.
func desk(ctx context.Context, c *client.Client) error {
	page, err := c.List(ctx, client.ListRequest{Type: "user_onboarding", State: "asking_sales", Limit: 1000})
	if err != nil {
		return err
	}
	for i := range page.Items {
		waiting := &page.Items[i]
		for j := range waiting.Chart.Tasks {
			if t := &waiting.Chart.Tasks[j]; t.State == events.TaskWaitingForInput {
				if err := answer(ctx, c, waiting, t); err != nil {
					return fmt.Errorf("%s: %w", waiting.Key, err)
				}
			}
		}
	}
	return nil
}

// form is what sales fills in.
type form struct {
	Agreed bool   `json:"agreed"`
	Reason string `json:"reason,omitempty"`
}

// answer fills in the form of one task, as leat task complete does. The command
// has the id that it had when the list was older, so that it is decided once.
func answer(ctx context.Context, c *client.Client, i *client.Instance, t *events.TaskStatus) error {
	var asked struct {
		Input user `json:"input"`
	}
	if err := json.Unmarshal(t.Input, &asked); err != nil {
		return err
	}
	f := form{Agreed: true}
	if strings.HasPrefix(asked.Input.Email, doubt) {
		f = form{Reason: "nobody has heard of " + asked.Input.Name}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := c.Do(ctx, client.TaskRequest{
		Type: i.WorkflowType, InstanceID: i.InstanceID, TaskID: t.TaskID, Attempt: t.Attempt, By: "sales", Result: f,
		CommandID: events.DeriveUUID(t.TaskID, fmt.Sprint("sales/", t.Attempt)),
	})
	if errors.Is(err, client.ErrConflict) {
		return nil // another person has claimed it
	}
	return err
}
