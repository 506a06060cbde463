package main

import (
	"context"
	"strings"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/events"
)

// client connects when it is first used. Reading asks the projector, unless
// brokers are named and no projector is: then it reads the topics themselves,
// so that every command works against any Kafka.
func (a *app) client() (*client.Client, error) {
	logger, err := a.logger("error") // the command itself says what is wrong
	if err != nil {
		return nil, err
	}
	k, err := a.settings.Kafka(logger)
	if err != nil {
		return nil, err
	}
	api := a.api()
	return client.New(client.Config{
		Brokers: k.Brokers, Prefix: a.settings.Text("prefix"), API: api, ClientID: k.ClientID, TLS: k.TLS,
		SASL: client.SASL(k.SASL), Timeout: a.settings.Duration("timeout"), Logger: logger,
	})
}

// api is the projector to ask, "" for none.
func (a *app) api() string {
	if a.settings.Given("kafka.brokers") && !a.settings.Given("api") {
		return ""
	}
	return a.settings.Text("api")
}

// need says what a command cannot do without.
type need int

const (
	needsReader need = iota // a projector, or Kafka in its place
	needsKafka
)

// with runs f with a client and a context that --timeout bounds. patient is for
// what may take any time: only a --timeout that was asked for bounds it.
func (a *app) with(ctx context.Context, n need, patient bool, f func(context.Context, *client.Client) error) error {
	if n == needsKafka || a.api() == "" {
		if err := boot.Reach(ctx, a.settings.List("kafka.brokers")); err != nil {
			return err
		}
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if patient && !a.settings.Given("timeout") {
		return f(ctx, c)
	}
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	return f(ctx, c)
}

// target is an instance as a command names it: an id or a business key.
func target(idOrKey string) (id events.UUID, key string) {
	if id, err := events.ParseUUID(idOrKey); err == nil {
		return id, ""
	}
	return events.Nil, idOrKey
}

// fullState names what a snapshot says in one word or two.
func fullState(s *client.Instance) string {
	return string(s.State) + " in " + strings.Join(s.Chart.Active, ", ")
}
