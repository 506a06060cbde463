package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/leat-io/leat/examples/internal/batch"
	"github.com/leat-io/leat/pkg/executor"
)

// handle gives w the tasks. Each may run more than once, so each effect is written
// under the task's key, and ids follow from the key.
func handle(w *executor.Executor, b batch.Book) {
	s := shop{b}
	executor.Handle(w, "stock.reserve", s.reserve)
	executor.Handle(w, "stock.release", s.undo)
	executor.Handle(w, "payments.charge", s.charge)
	executor.Handle(w, "payments.refund", s.undo)
	executor.Handle(w, "shipping.ship", s.ship)
	executor.Handle(w, "shipping.recall", s.undo)
}

// shop does the tasks.
type shop struct{ book batch.Book }

// What the world refuses.
const (
	soldOut  = "unicorn"
	declined = "declined"
	nowhere  = "Atlantis"
)

type made struct {
	ID string `json:"id"`
}

type goods struct {
	SKU      string
	Quantity int
}

func (s shop) reserve(ctx context.Context, in goods) (made, error) {
	if in.SKU == soldOut {
		return made{}, batch.Failed("OUT_OF_STOCK", "there is no "+soldOut)
	}
	return s.make(ctx, "stock-")
}

type payment struct {
	Amount float64
	Card   string
}

func (s shop) charge(ctx context.Context, in payment) (made, error) {
	switch {
	case in.Card == declined:
		return made{}, batch.Failed("CARD_DECLINED", "the bank says no")
	case executor.TaskFrom(ctx).Attempt == 1 && int(in.Amount)%3 == 0:
		return made{}, batch.Busy("the bank does not answer") // a retry will do
	}
	return s.make(ctx, "charge-")
}

type parcel struct{ Country string }

func (s shop) ship(ctx context.Context, in parcel) (made, error) {
	if in.Country == nowhere {
		return made{}, batch.Failed("NO_ROUTE", "nobody delivers to "+nowhere)
	}
	return s.make(ctx, "parcel-")
}

// make writes down what there is now.
func (s shop) make(ctx context.Context, what string) (made, error) {
	id := made{what + executor.TaskFrom(ctx).InstanceKey}
	return id, s.book.Write(ctx, id)
}

type undone struct{ Reservation, Charge, Parcel string }

// undo releases, refunds or recalls what its input names. It does not work at
// the first attempt, as it may be in the world: undoing has retries, too.
func (s shop) undo(ctx context.Context, of undone) (any, error) {
	if executor.TaskFrom(ctx).Attempt == 1 {
		return nil, batch.Busy("try again")
	}
	return nil, s.book.Write(ctx, made{of.Reservation + of.Charge + of.Parcel})
}

// order is what an instance starts with.
type order struct {
	SKU      string  `json:"sku"`
	Quantity int     `json:"quantity"`
	Amount   float64 `json:"amount"`
	Card     string  `json:"card"`
	Country  string  `json:"country"`
}

// end is where an order must end. Only its input decides.
func (o order) end() string {
	switch {
	case o.SKU == soldOut:
		return "out_of_stock"
	case o.Card == declined:
		return "card_declined"
	case o.Country == nowhere:
		return "not_shippable"
	default:
		return "shipped"
	}
}

// orders are n orders, of which some are sold out, some are paid with a bad card
// and some go nowhere.
func orders(n int) ([]batch.Instance, error) {
	out := make([]batch.Instance, n)
	for i := range out {
		o := order{SKU: "lamp", Quantity: 1 + i%3, Amount: float64(10 + i), Card: fmt.Sprintf("tok_%d", i), Country: "NO"}
		switch i % 10 {
		case 3:
			o.SKU = soldOut
		case 5, 8:
			o.Card = declined
		case 6, 9:
			o.Country = nowhere
		}
		input, err := json.Marshal(o)
		if err != nil {
			return nil, err
		}
		out[i] = batch.Instance{Key: fmt.Sprintf("order-%03d", i), Input: input, End: o.end()}
	}
	return out, nil
}
