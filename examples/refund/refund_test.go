package refund

import (
	"context"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/leattest"
)

// slowBank needs a day.
type slowBank struct {
	begun  map[string]int
	doneAt time.Time
}

func (b *slowBank) Begin(_ context.Context, _ int, key string) (string, error) {
	b.begun[key]++
	b.doneAt = time.Now().Add(24 * time.Hour)
	return "t-1", nil
}

func (b *slowBank) Done(context.Context, string) (bool, error) {
	return !time.Now().Before(b.doneAt), nil
}

func TestRefund(t *testing.T) {
	leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
		bank := &slowBank{begun: map[string]int{}}
		env.Handle("bank.refund", Pay(bank))
		env.Deploy("refund.yaml")
		c := env.Client()
		began := time.Now()
		if _, err := c.Start(t.Context(), client.StartRequest{Type: "refund", Key: "r-1", Input: Refund{Amount: 500}}); err != nil {
			t.Fatal(err)
		}
		question := asked(t, c, "r-1")
		if _, err := c.Do(t.Context(), client.TaskRequest{
			Type: "refund", Key: "r-1", TaskID: question, Attempt: 1, By: "ann", Result: map[string]bool{"ok": true},
		}); err != nil {
			t.Fatal(err)
		}
		i := env.WaitState("refund", "r-1", "paid")
		if !events.SameJSON(i.Output, []byte(`{"transfer": "t-1", "approved_by": "ann"}`)) {
			t.Errorf("got %s", i.Output)
		}
		if took := time.Since(began); took < 24*time.Hour || len(bank.begun) != 1 {
			t.Errorf("it took %s and %v", took, bank.begun)
		}
	})
}

// asked waits for the question and gives the id of its task.
func asked(t *testing.T, c *client.Client, key string) events.UUID {
	t.Helper()
	for {
		i, err := c.Get(t.Context(), "refund", key, client.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range i.Chart.Tasks {
			if task.Invocation == "paying/approve" {
				return task.TaskID
			}
		}
		wait := time.NewTimer(time.Minute) // of virtual time
		<-wait.C
	}
}
