package session

import (
	"context"

	"github.com/leat-io/leat/internal/boot"
	"github.com/leat-io/leat/pkg/client"
)

// client connects when it is first used. Reading asks the projector, unless
// brokers are named and no projector is: then it reads the topics themselves,
// so that every command works against any Kafka.
func (s *Session) client(api string) (*client.Client, error) {
	logger, err := s.Logger("error") // the command itself says what is wrong
	if err != nil {
		return nil, err
	}
	k, err := s.Settings.Kafka(logger)
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{
		Brokers: k.Brokers, Prefix: s.Settings.Text("prefix"), API: api, ClientID: k.ClientID, TLS: k.TLS,
		SASL: client.SASL(k.SASL), Timeout: s.Settings.Duration("timeout"), Logger: logger,
	})
}

// API is the projector to ask, "" for none.
func (s *Session) API() string {
	if s.Settings.Given("kafka.brokers") && !s.Settings.Given("api") {
		return ""
	}
	return s.Settings.Text("api")
}

// Need says what a command cannot do without.
type Need int

// What a command needs.
const (
	Reader Need = iota // a projector, or Kafka in its place
	Kafka
	Routers // Kafka, and no projector: what is read reflects everything that was written before
)

// With runs f with a client and a context that --timeout bounds. patient is for
// what may take any time: only a --timeout that was asked for bounds it.
func (s *Session) With(ctx context.Context, n Need, patient bool, f func(context.Context, *client.Client) error) error {
	api := s.API()
	if n == Routers {
		api = ""
	}
	if n == Kafka || api == "" {
		if err := boot.Reach(ctx, s.Settings.List("kafka.brokers")); err != nil {
			return err
		}
	}
	c, err := s.client(api)
	if err != nil {
		return err
	}
	defer c.Close()
	if patient && !s.Settings.Given("timeout") {
		return f(ctx, c)
	}
	ctx, cancel := s.withTimeout(ctx)
	defer cancel()
	return f(ctx, c)
}

// withTimeout bounds one command by --timeout.
func (s *Session) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if d := s.Settings.Duration("timeout"); d > 0 {
		return context.WithTimeout(ctx, d)
	}
	return context.WithCancel(ctx)
}
