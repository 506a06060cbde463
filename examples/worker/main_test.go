package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/executor"
	"github.com/leat-io/leat/pkg/leattest"
)

func TestWorker(t *testing.T) {
	busy.Store(0)
	env := leattest.Start(t)
	env.Deploy("order.yaml")
	w, err := worker(env.Brokers())
	if err != nil {
		t.Fatal(err)
	}
	env.Run(w.Run)
	for key, input := range map[string]Order{"order-1": {Amount: 30}, "order-2": {Amount: 300}} {
		if _, err := env.Client().Start(t.Context(), client.StartRequest{Type: "order", Key: key, Input: input}); err != nil {
			t.Fatal(err)
		}
	}
	env.WaitState("order", "order-2", "declined")
	paid := env.WaitState("order", "order-1", "paid")
	if got := string(paid.Output); got != `"attempt 2 printed [3]"` {
		t.Errorf("got %s", got)
	}
	history, err := env.Client().History(t.Context(), "order", "order-1", client.HistoryRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var retries []string
	for _, e := range history {
		if e.EventType == events.EventTaskRetry {
			retries = append(retries, e.Data["error_message"].Str())
		}
	}
	if got := strings.Join(retries, ", "); got != "the bank is busy, out of paper" {
		t.Errorf("retried after %s", got)
	}
}

// workers.json is what `leat def validate order.yaml --workers workers.json`
// compares the definition with.
func TestWorkersFileIsOfTheHandlers(t *testing.T) {
	w, err := worker([]string{"localhost:9092"})
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.MarshalIndent(w.Schemas(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile("workers.json"); strings.TrimSpace(string(got)) != string(want) {
		t.Errorf("workers.json is not of these handlers; it should hold\n%s", want)
	}
}

// A handler is a function: a test calls it.
func TestCharge(t *testing.T) {
	busy.Store(1)
	ctx := executor.WithTask(t.Context(), executor.Task{Task: events.Task{IdempotencyKey: "k", Attempt: 1}})
	if got, err := charge(ctx, Order{Amount: 30}); err != nil || got != (Receipt{30, "k"}) {
		t.Error(got, err)
	}
}
