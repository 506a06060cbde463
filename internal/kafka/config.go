// Package kafka is the only place that speaks to a broker (franz-go). It offers
// what the workers need and nothing else: a group [Member], a [Fetcher] with
// explicit offsets, a [Producer], a [Transactor], a [Reader] that reads a
// partition to its end, and an [Admin] that provisions topics. It decides
// nothing about workflows.
package kafka

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"github.com/twmb/franz-go/plugin/kslog"
)

// Record is one Kafka record.
type Record = kgo.Record

// Header is one record header.
type Header = kgo.RecordHeader

// Config says how to reach the cluster. The zero value of every field but
// Brokers works.
type Config struct {
	Brokers  []string // host:port of the seed brokers
	ClientID string   // default "leat"
	TLS      *tls.Config
	SASL     SASL
	// Dial replaces net.Dialer, as the simulation's virtual network does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger takes the client library's warnings; nil drops them.
	Logger *slog.Logger
	// Hooks observe the client, such as kprom's metrics.
	Hooks []kgo.Hook
}

// SASL holds credentials. An empty Mechanism means none.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	User      string
	Password  string
}

// mechanism is the library's form of s, nil when there is none.
func (s SASL) mechanism() (sasl.Mechanism, error) {
	switch s.Mechanism {
	case "":
		return nil, nil //nolint:nilnil // no mechanism is a legal answer
	case "PLAIN":
		return plain.Auth{User: s.User, Pass: s.Password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha512Mechanism(), nil
	default:
		return nil, fmt.Errorf("unknown SASL mechanism %q: use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
	}
}

// newClient makes a client with what every client of Leat needs.
func (c Config) newClient(extra ...kgo.Opt) (*kgo.Client, error) {
	unpacker, err := newUnpacker()
	if err != nil {
		return nil, err
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(orDefault(c.ClientID, "leat")),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.WithDecompressor(unpacker),
		kgo.WithHooks(c.Hooks...),
	}
	if c.Logger != nil {
		opts = append(opts, kgo.WithLogger(kslog.New(quiet(c.Logger))))
	}
	mechanism, err := c.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	if mechanism != nil {
		opts = append(opts, kgo.SASL(mechanism))
	}
	client, err := kgo.NewClient(slices.Concat(opts, extra, c.reach())...)
	if err != nil {
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	return client, nil
}

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// quiet keeps the library's warnings and errors, and drops its chatter.
func quiet(logger *slog.Logger) *slog.Logger {
	return slog.New(minLevel{logger.Handler(), slog.LevelWarn})
}

type minLevel struct {
	slog.Handler
	level slog.Level
}

func (h minLevel) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

// fastRetry is how long the workers wait before they ask a broker again: the
// errors of a transaction's start and of a new leader last about a millisecond.
func fastRetry() kgo.Opt {
	return kgo.RetryBackoffFn(func(tries int) time.Duration {
		return min(time.Duration(tries)*2*time.Millisecond, 250*time.Millisecond)
	})
}
