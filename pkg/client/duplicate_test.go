package client

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	engine "github.com/leat-io/leat/internal/router"
)

const invoice = `leat: v1
type: invoice
version: 1
initial: open
input: {type: object, properties: {amount: {type: number}}, required: [amount]}
states:
  open: {on: {pay: paid, refuse: failed}}
  paid: {type: final, output: {amount: input.amount}}
  failed: {type: final, outcome: failed}
`

// withInvoice deploys the type invoice and runs a whole router for it.
func withInvoice(t *testing.T) *Client {
	t.Helper()
	c := newClient(t)
	if _, err := c.Deploy(t.Context(), DeployRequest{Name: "invoice.yaml", Source: []byte(invoice), Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	r, err := engine.New(engine.Config{Kafka: c.kafka, Names: c.names, Slot: "slot", Logger: c.config.Logger})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return c
}

// Who starts a key again with another input gets the run of the first, however it
// ends: the same of a client that has a projector alone as of one with brokers,
// while the instance runs and when it has ended.
func TestADuplicateWithAnotherInput(t *testing.T) {
	direct := withInvoice(t)
	clients := map[string]*Client{"brokers": direct, "projector alone": withProjector(t, direct, false)}
	ctx := within(t, 60*time.Second)
	type total struct {
		Amount int `json:"amount"`
	}
	start := func(c *Client, key string, input any) *Run {
		t.Helper()
		run, err := c.Start(ctx, StartRequest{Type: "invoice", Key: key, Input: input})
		if err != nil {
			t.Fatal(err)
		}
		return run
	}
	for _, tt := range []struct {
		key, signal string
		input       any
		want        int
		err         error
	}{
		{"paid", "pay", total{12}, 12, nil},
		{"failed", "refuse", total{12}, 0, ErrWorkflow},
		{"never begun", "", "no object", 0, ErrRejected}, // the next would be the first
	} {
		t.Run(tt.key, func(t *testing.T) {
			first := start(direct, tt.key, tt.input)
			again := map[string]*Run{}
			for name, c := range clients {
				if tt.signal == "" { // each is refused for itself
					again[name] = start(c, tt.key, tt.input)
					continue
				}
				again[name] = start(c, tt.key, total{99})
			}
			if tt.signal != "" {
				if err := first.Signal(ctx, tt.signal, nil); err != nil {
					t.Fatal(err)
				}
			}
			_, why := Result[total](ctx, first)
			for name, c := range clients {
				runs := []*Run{again[name]}
				if tt.signal != "" { // and when it has ended
					runs = append(runs, start(c, tt.key, total{99}), start(c, tt.key, "no object"))
				}
				for _, run := range runs {
					got, err := Result[total](ctx, run)
					if got.Amount != tt.want || !errors.Is(err, tt.err) || message(err) != message(why) {
						t.Errorf("%s: got %d, %v; the first got %v", name, got.Amount, err, why)
					}
				}
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
