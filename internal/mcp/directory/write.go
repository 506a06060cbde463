package directory

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/pkg/events"
)

// writeMark is the header that tells a writer its own record from another's that
// says the same.
const writeMark = "leat-write"

// Change writes what decide makes of a server, in the server's turn: whoever wrote
// before is seen, and nobody writes in between. decide gets everything that there
// is, and may be called several times. The server that it returns takes the place
// of the one that is there, nil changes nothing. Its error is returned as it is.
func Change(ctx context.Context, c Config, id string, decide func(*catalog.Catalog) (*events.MCPSubsystem, error)) error {
	return c.inTurn(ctx, id, func(all *catalog.Catalog, mark []byte) ([]*kafka.Record, error) {
		s, err := decide(all)
		if err != nil || s == nil {
			return nil, err
		}
		value, err := avro.EncodeSubsystem(s)
		if err != nil {
			return nil, err
		}
		record := newRecord(c.Names.MCPSubsystems(), id, value)
		record.Headers = append(record.Headers, kafka.Header{Key: writeMark, Value: mark})
		all.PutSubsystem(*s)
		return append([]*kafka.Record{record}, c.superseded(all, id, time.Now())...), nil
	})
}

// superseded are tombstones of the descriptions of tools that nobody needs.
func (c *Config) superseded(all *catalog.Catalog, id string, now time.Time) (records []*kafka.Record) {
	for _, key := range all.Superseded(id, now) {
		records = append(records, newRecord(c.Names.MCPTools(), key, nil))
	}
	return records
}

// Remove unregisters a server, with all that is known of it. there is false when
// there was none.
func Remove(ctx context.Context, c Config, id string) (there bool, err error) {
	err = c.inTurn(ctx, id, func(all *catalog.Catalog, mark []byte) (records []*kafka.Record, _ error) {
		_, known := all.Subsystem(id)
		there = there || known
		if !known {
			return nil, nil
		}
		record := newRecord(c.Names.MCPSubsystems(), id, nil)
		record.Headers = append(record.Headers, kafka.Header{Key: writeMark, Value: mark})
		records = append(records, record)
		for _, t := range all.Tools(id) {
			records = append(records, newRecord(c.Names.MCPTools(), t.Key(), nil))
		}
		for _, h := range all.Health(id) {
			records = append(records, newRecord(c.Names.MCPHealth(), h.Key(), nil))
		}
		return records, nil
	})
	return there, err
}

func (c *Config) inTurn(ctx context.Context, id string, decide func(all *catalog.Catalog, mark []byte) ([]*kafka.Record, error)) error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if err := c.provision(ctx); err != nil {
		return err
	}
	mark := []byte(rand.Text())
	return kafka.InTurn(ctx, c.Kafka, c.Names.Prefix+"leat-mcp-"+id, func(ctx context.Context) ([]*kafka.Record, error) {
		written, err := c.marked(ctx, id, mark)
		if err != nil || written {
			return nil, err // written: it is there, and only the answer was lost
		}
		all, err := Read(ctx, *c)
		if err != nil {
			return nil, err
		}
		return decide(all, mark)
	})
}

// marked reports whether the newest records of a server have a mark.
func (c *Config) marked(ctx context.Context, id string, mark []byte) (found bool, err error) {
	reader, err := kafka.NewReader(c.Kafka)
	if err != nil {
		return false, err
	}
	defer reader.Close()
	p := kafka.TopicPartition{Topic: c.Names.MCPSubsystems()}
	bounds, err := reader.Range(ctx, p)
	if err != nil {
		return false, err
	}
	err = reader.ReadTo(ctx, p, bounds.Start, bounds.End, func(r *kafka.Record) error {
		for _, h := range r.Headers {
			found = found || string(r.Key) == id && h.Key == writeMark && bytes.Equal(h.Value, mark)
		}
		return nil
	})
	return found, err
}

func newRecord(topic, key string, value []byte) *kafka.Record {
	r := kafka.NewRecord(topic, []byte(key), value)
	if value != nil {
		r.Headers = []kafka.Header{{Key: "content-type", Value: []byte(avro.ContentType)}}
	}
	return r
}

// Publisher writes what an executor sees. It is safe for concurrent use.
type Publisher struct {
	config   Config
	producer *kafka.Producer
}

// NewPublisher makes a publisher, which has to be closed.
func NewPublisher(c Config) (*Publisher, error) {
	producer, err := kafka.NewProducer(c.Kafka)
	if err != nil {
		return nil, err
	}
	return &Publisher{config: c, producer: producer}, nil
}

// Report is what an executor says at once: tools come first, so that nobody reads
// of one that is not there.
type Report struct {
	Tools    []events.MCPTool
	Health   []events.MCPHealth
	Gone     []string // keys of mcp.health to be tombstoned
	Unlisted []string // keys of mcp.tools to be tombstoned
}

// Publish writes a report and waits until it is durable.
func (p *Publisher) Publish(ctx context.Context, r Report) error {
	var tools, rest []*kafka.Record
	for i := range r.Tools {
		value, err := avro.EncodeTool(&r.Tools[i])
		if err != nil {
			return fmt.Errorf("tool %s of %s: %w", r.Tools[i].Name, r.Tools[i].SubsystemID, err)
		}
		tools = append(tools, newRecord(p.config.Names.MCPTools(), r.Tools[i].Key(), value))
	}
	for i := range r.Health {
		value, err := avro.EncodeHealth(&r.Health[i])
		if err != nil {
			return fmt.Errorf("health of %s: %w", r.Health[i].SubsystemID, err)
		}
		rest = append(rest, newRecord(p.config.Names.MCPHealth(), r.Health[i].Key(), value))
	}
	for _, key := range r.Gone {
		rest = append(rest, newRecord(p.config.Names.MCPHealth(), key, nil))
	}
	for _, key := range r.Unlisted {
		rest = append(rest, newRecord(p.config.Names.MCPTools(), key, nil))
	}
	for _, records := range [][]*kafka.Record{tools, rest} {
		if len(records) == 0 {
			continue
		}
		if err := p.producer.Send(ctx, records...); err != nil {
			return err
		}
	}
	return nil
}

// Close gives up what is still being written.
func (p *Publisher) Close() { p.producer.Close() }
