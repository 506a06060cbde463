// Package client starts workflow instances, signals them, waits for their results
// and reads their state. It is the library behind the CLI.
//
//	c, err := client.New(client.Config{Brokers: []string{"localhost:9092"}})
//	defer c.Close()
//	run, err := c.Start(ctx, client.StartRequest{Type: "order", Key: "order-42", Input: Order{Amount: 12}})
//	err = run.Signal(ctx, "shipped", Parcel{Carrier: "drone"})
//	paid, err := client.Result[Paid](ctx, run)
//
// Commands go straight to Kafka: when Start or Signal returns without an error,
// the command is durable and will be decided exactly once, whatever runs at the
// moment. A [Run] is watched before its start is produced; all runs of a type
// share one reader, so that waiting costs no request and no goroutine.
//
// Reads go to a projector when Config.API names one. Without it the router that
// decides for an instance is asked, and lists are read from the topics themselves,
// which takes longer the more there is. Errors are *[Error] with a code, and what
// to do about it; a workflow that did not complete is a *[WorkflowError].
//
// # Organization
//
// client.go makes commands durable, request.go says what can be asked. run.go and
// ending.go wait for the end of an instance, wait.go for the decision on a command,
// follower.go reads topics for both, polling.go asks a projector. describe.go asks
// a router, get.go, history.go and follow.go read one instance, direct.go reads
// whole topics and api.go a projector; read.go is the front of all reading.
// deploy.go deploys, schedule.go is about schedules.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/apicall"
	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/follow"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// Config says how to reach a cluster. Brokers or API is required; with API alone
// the client can do what the projector offers: start, signal and read.
type Config struct {
	Brokers  []string    // host:port of some brokers of the cluster
	Prefix   string      // of every topic name; default none
	API      string      // base URL of a projector, such as http://localhost:8080; "" reads the topics
	ClientID string      // how brokers name this client; default "leat-client"
	Source   string      // who asks, for the history's readers; default ClientID
	TLS      *tls.Config // of the connections to Kafka; nil for plain text
	SASL     SASL        // zero for none
	// HTTP speaks to the projector; default a client without a timeout of its own:
	// each call's context bounds it.
	HTTP *http.Client
	// Timeout bounds a read whose context has no deadline; default 30 s. Waiting
	// and following are bounded by their contexts alone, writing by 30 s as well.
	Timeout time.Duration
	// RouterTimeout bounds how long a read without a projector waits for the answer
	// of a router; default 1 s.
	RouterTimeout time.Duration
	Logger        *slog.Logger // default: none
	// Skipped counts the records of an event topic that no router wrote and that
	// are passed over, each time that they are read; default: nobody counts. It may
	// be called by several goroutines at once.
	Skipped func(topic string)
}

// SASL holds Kafka credentials. An empty Mechanism means none.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	User      string
	Password  string
}

// Client speaks to one cluster. It is safe for concurrent use; make one and keep
// it. It connects when it is first used.
type Client struct {
	config Config
	kafka  kafka.Config
	names  topics.Names
	api    apicall.Caller
	topics *follow.Topics  // what is waited for in Kafka
	life   context.Context //nolint:containedctx // ends with Close, and with it all that reads a projector
	end    context.CancelFunc

	mu       sync.Mutex
	closed   bool
	producer *kafka.Producer
	reader   *kafka.Reader
	admin    *kafka.Admin
	feeds    map[string]*feed // what is waited for at a projector, by type

	turns      chan struct{}  // one for each command that is on its way to a projector
	background sync.WaitGroup // what ends with the client; nothing is added when it is closed
}

// New makes a client. The error says what is wrong with c.
func New(c Config) (*Client, error) {
	if len(c.Brokers) == 0 && c.API == "" {
		return nil, invalid(errors.New("neither Brokers nor API is set: say where Kafka or a projector is"))
	}
	if c.ClientID == "" {
		c.ClientID = "leat-client"
	}
	if c.Source == "" {
		c.Source = c.ClientID
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.RouterTimeout == 0 {
		c.RouterTimeout = time.Second
	}
	if c.HTTP == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		// There is one host, and a connection that is closed costs more than it holds.
		transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 2*commandsAtOnce, 2*commandsAtOnce
		c.HTTP = &http.Client{Transport: transport}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.API = strings.TrimRight(c.API, "/")
	client := &Client{
		config: c, names: topics.Names{Prefix: c.Prefix}, feeds: make(map[string]*feed),
		turns: make(chan struct{}, commandsAtOnce),
		api:   apicall.Caller{Base: c.API, HTTP: c.HTTP},
		kafka: kafka.Config{Brokers: c.Brokers, ClientID: c.ClientID, TLS: c.TLS, SASL: kafka.SASL(c.SASL), Logger: c.Logger},
	}
	client.topics = follow.New(follow.Config{Kafka: client.kafka, Reader: client.reading, Logger: c.Logger})
	client.life, client.end = context.WithCancel(context.Background())
	return client, nil
}

// closingTime bounds Close, whatever hangs.
const closingTime = 3 * time.Second

// Close gives up what is under way and ends the client's goroutines. Those that
// wait for a broker that does not answer are not waited for: Close takes some
// seconds at most.
func (c *Client) Close() {
	c.end()
	c.mu.Lock()
	c.closed = true
	producer, reader, admin := c.producer, c.reader, c.admin
	c.producer, c.reader, c.admin = nil, nil, nil
	c.mu.Unlock()
	var closing sync.WaitGroup
	closing.Go(c.background.Wait)
	closing.Go(c.topics.Close)
	if producer != nil {
		closing.Go(producer.Close)
	}
	if reader != nil {
		closing.Go(reader.Close)
	}
	if admin != nil {
		closing.Go(admin.Close)
	}
	closed := make(chan struct{})
	go func() { closing.Wait(); close(closed) }()
	timer := time.NewTimer(closingTime)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
	}
	c.config.HTTP.CloseIdleConnections()
}

// Send makes any request durable and waits for nothing else: [Client.Do] also
// waits for what it leads to, and says why when it is refused. The error is as of
// [Client.Start].
func (c *Client) Send(ctx context.Context, r Request) (Receipt, error) {
	if len(c.config.Brokers) == 0 {
		return c.sendAPI(ctx, r)
	}
	command, err := r.command(c.config.Source, time.Now())
	if err != nil {
		return Receipt{}, invalid(err)
	}
	return c.sendCommand(ctx, command)
}

// Signal is [Client.Send] for a signal; a program that has a [Run] can use [Run.Signal].
func (c *Client) Signal(ctx context.Context, r SignalRequest) (Receipt, error) { return c.Send(ctx, r) }

// sendCommand makes one command durable.
func (c *Client) sendCommand(ctx context.Context, command *events.Command) (Receipt, error) {
	type answer struct {
		receipt Receipt
		err     error
	}
	ctx, cancel := c.living(ctx)
	defer cancel()
	ctx, late := context.WithTimeout(ctx, writeWithin)
	defer late()
	done := make(chan answer, 1)
	c.produce(ctx, command, func(receipt Receipt, err error) { done <- answer{receipt, err} })
	select {
	case a := <-done:
		if a.err != nil {
			return Receipt{}, c.explain(ctx, a.receipt.Type, a.err)
		}
		return a.receipt, nil
	case <-ctx.Done():
		// The producer does not give up what a broker that went away may have taken.
		return Receipt{}, failed("the command may not have been accepted", ctx.Err())
	}
}

// writeWithin bounds how long a command may take to be durable.
const writeWithin = 30 * time.Second

// Go makes a command durable in the background and calls done when it is, or is
// given up; in order for each instance. It blocks while too many are under way
// (10,000), and needs Brokers. done is called once, from a goroutine that all
// share: it must be quick and must not call the client.
func (c *Client) Go(ctx context.Context, r Request, done func(Receipt, error)) {
	command, err := r.command(c.config.Source, time.Now())
	if err != nil {
		done(Receipt{}, invalid(err))
		return
	}
	c.produce(ctx, command, done)
}

func (c *Client) produce(ctx context.Context, command *events.Command, done func(Receipt, error)) {
	receipt := Receipt{CommandID: command.CommandID, InstanceID: command.InstanceID, Type: command.WorkflowType}
	value, err := avro.EncodeCommand(command)
	if err != nil {
		done(receipt, invalid(err))
		return
	}
	producer, err := c.producing()
	if err != nil {
		done(receipt, err)
		return
	}
	record := kafka.NewRecord(c.names.Commands(command.WorkflowType), []byte(command.InstanceID.String()), value)
	record.Headers = []kafka.Header{{Key: "content-type", Value: []byte(avro.ContentType)}}
	producer.Go(ctx, record, func(err error) {
		if err != nil {
			done(receipt, failed("the command may not have been accepted", err))
			return
		}
		receipt.Topic, receipt.Partition, receipt.Offset, receipt.At = record.Topic, record.Partition, record.Offset, record.Timestamp
		done(receipt, nil)
	})
}

// producing, reading and administering connect when they are first needed.
func (c *Client) producing() (*kafka.Producer, error) { return lazy(c, &c.producer, kafka.NewProducer) }
func (c *Client) reading() (*kafka.Reader, error)     { return lazy(c, &c.reader, kafka.NewReader) }
func (c *Client) administering() (*kafka.Admin, error) {
	return lazy(c, &c.admin, kafka.NewAdmin)
}

func lazy[T any](c *Client, slot **T, open func(kafka.Config) (*T, error)) (*T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.usable(); err != nil || *slot != nil {
		return *slot, err
	}
	opened, err := open(c.kafka)
	if err != nil {
		return nil, invalid(err)
	}
	*slot = opened
	return opened, nil
}

// usable is nil while the client can speak to Kafka. c.mu is held.
func (c *Client) usable() error {
	switch {
	case c.closed:
		return errClosed()
	case len(c.config.Brokers) == 0:
		return &Error{Code: ErrUnavailable.Code, Message: "this needs Kafka itself, and no broker is configured", Fix: "set Brokers (--brokers or KAFKA_BROKERS)"}
	}
	return nil
}

// bounded is ctx with a deadline, which also ends with the client.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := c.living(ctx)
	if _, ok := ctx.Deadline(); ok {
		return ctx, end
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	return ctx, func() { cancel(); end() }
}

// watch hands the records at places to w until forget is called. When it returns,
// everything that is committed from then on will be seen.
func (c *Client) watch(ctx context.Context, w *follow.Watch, places ...follow.Place) (forget func(), err error) {
	c.mu.Lock()
	err = c.usable()
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	forget, err = c.topics.Watch(ctx, w, places...)
	if errors.Is(err, follow.ErrClosed) {
		return nil, errClosed()
	}
	return forget, failed("wait for "+places[0].Topic, err)
}

// living is ctx, which also ends with the client.
func (c *Client) living(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(c.life, cancel)
	return ctx, func() { unhook(); cancel() }
}
