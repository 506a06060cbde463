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

// sales decides about every plan that waits for a decision, until ctx ends. A
// decision has a key, so that to repeat it is harmless.
func sales(ctx context.Context, c *client.Client, _ []batch.Instance) error {
	const often = 300 * time.Millisecond
	for ctx.Err() == nil {
		if err := decide(ctx, c); err != nil && !errors.Is(err, client.ErrUnavailable) && !errors.Is(err, client.ErrProjector) && !errors.Is(err, client.ErrTimeout) {
			return err
		}
		if batch.Sleep(ctx, often) != nil {
			break
		}
	}
	return nil //nolint:nilerr // told to stop
}

func decide(ctx context.Context, c *client.Client) error {
	page, err := c.List(ctx, client.ListRequest{Type: "user_onboarding", State: "asking_sales", Limit: 1000})
	if err != nil {
		return err
	}
	for _, i := range page.Items {
		var u user
		if err := json.Unmarshal(i.Chart.Input, &u); err != nil {
			return fmt.Errorf("%s: %w", i.Key, err)
		}
		decision := "agreed"
		if strings.HasPrefix(u.Email, doubt) {
			decision = "refused"
		}
		if _, err := c.Signal(ctx, client.SignalRequest{Type: "user_onboarding", Key: i.Key, Event: decision, IdempotencyKey: "sales"}); err != nil {
			return err
		}
	}
	return nil
}
