package main

import (
	"encoding/json"
	"fmt"

	"github.com/leat-io/leat/examples/internal/batch"
	"github.com/leat-io/leat/pkg/executor"
)

// handlers are the tasks. Each may run more than once, so each effect is written
// under the task's key, and ids follow from the key.
var handlers = map[string]batch.Handler{
	"stock.reserve":   reserve,
	"stock.release":   undo,
	"payments.charge": charge,
	"payments.refund": undo,
	"shipping.ship":   ship,
	"shipping.recall": undo,
}

// What the world refuses.
const (
	soldOut  = "unicorn"
	declined = "declined"
	nowhere  = "Atlantis"
)

type made struct {
	ID string `json:"id"`
}

func reserve(t executor.Task, b batch.Book) (any, error) {
	var in struct {
		SKU      string
		Quantity int
	}
	if err := t.Decode(&in); err != nil {
		return nil, err
	}
	if in.SKU == soldOut {
		return nil, batch.Failed("OUT_OF_STOCK", "there is no "+soldOut)
	}
	id := made{"stock-" + t.InstanceKey}
	return id, b.Write(t, id)
}

func charge(t executor.Task, b batch.Book) (any, error) {
	var in struct {
		Amount float64
		Card   string
	}
	if err := t.Decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.Card == declined:
		return nil, batch.Failed("CARD_DECLINED", "the bank says no")
	case t.Attempt == 1 && int(in.Amount)%3 == 0:
		return nil, batch.Busy("the bank does not answer") // a retry will do
	}
	id := made{"charge-" + t.InstanceKey}
	return id, b.Write(t, id)
}

func ship(t executor.Task, b batch.Book) (any, error) {
	var in struct{ Country string }
	if err := t.Decode(&in); err != nil {
		return nil, err
	}
	if in.Country == nowhere {
		return nil, batch.Failed("NO_ROUTE", "nobody delivers to "+nowhere)
	}
	id := made{"parcel-" + t.InstanceKey}
	return id, b.Write(t, id)
}

// undo releases, refunds or recalls what its input names. It does not work at
// the first attempt, as it may be in the world: undoing has retries, too.
func undo(t executor.Task, b batch.Book) (any, error) {
	var of struct{ Reservation, Charge, Parcel string }
	if err := t.Decode(&of); err != nil {
		return nil, err
	}
	if t.Attempt == 1 {
		return nil, batch.Busy("try again")
	}
	return nil, b.Write(t, made{of.Reservation + of.Charge + of.Parcel})
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
