// Package directory reads and writes mcp.subsystems, mcp.tools and mcp.health:
// executors follow the topics, the command line reads them whole, and of those who
// change a server none writes without having seen what the others wrote.
package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/mcp/catalog"
	"github.com/leat-io/leat/pkg/topics"
)

// Config says where the topics are.
type Config struct {
	Kafka             kafka.Config
	Names             topics.Names
	ReplicationFactor int16        // of topics that have to be made; 0 is the broker's default
	Logger            *slog.Logger // default: none
}

// partitions are those of the three topics.
func (c *Config) partitions() []kafka.TopicPartition {
	return []kafka.TopicPartition{{Topic: c.Names.MCPSubsystems()}, {Topic: c.Names.MCPTools()}, {Topic: c.Names.MCPHealth()}}
}

// Directory follows the topics. Run does it; the other methods are safe for
// concurrent use.
type Directory struct {
	config  Config
	changed func()

	mu      sync.Mutex
	catalog *catalog.Catalog
	caught  chan struct{} // closed when what was there before Run is known
	once    sync.Once
}

// New makes an empty directory. changed is called, from Run's goroutine, when
// what was there is known and whenever something came in.
func New(c Config, changed func()) *Directory {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Directory{config: c, changed: changed, catalog: catalog.New(), caught: make(chan struct{})}
}

// Run follows the topics until ctx ends. It makes them when they are missing, and
// waits for a broker that is away. The error is that of topics that cannot be used.
func (d *Directory) Run(ctx context.Context) error {
	return kafka.KeepOn(ctx, d.follow, func(err error) {
		d.config.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot read mcp topics, trying again", slog.Any("error", err))
	})
}

func (d *Directory) follow(ctx context.Context) error {
	if err := d.config.provision(ctx); err != nil {
		return err
	}
	read, next, err := d.config.read(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.catalog = read // what was known from before a topic was made again counts no more
	d.mu.Unlock()
	d.once.Do(func() { close(d.caught) })
	d.changed()
	fetcher, err := kafka.NewFetcher(d.config.Kafka)
	if err != nil {
		return err
	}
	defer fetcher.Close()
	fetcher.AddAll(next)
	for ctx.Err() == nil {
		records, err := fetcher.Poll(ctx, 1000)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			continue
		}
		d.mu.Lock()
		for _, r := range records {
			d.config.apply(ctx, d.catalog, r)
		}
		d.mu.Unlock()
		d.changed()
	}
	return nil
}

// WaitReady waits until what was there before Run is known.
func (d *Directory) WaitReady(ctx context.Context) error {
	select {
	case <-d.caught:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("mcp servers are not read yet: %w", ctx.Err())
	}
}

// Ready is nil once WaitReady would return.
func (d *Directory) Ready() error {
	select {
	case <-d.caught:
		return nil
	default:
		return errors.New("mcp servers are not read yet")
	}
}

// View lets look see the catalog. Others wait meanwhile.
func (d *Directory) View(look func(*catalog.Catalog)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	look(d.catalog)
}

// Read reads the topics whole. Topics that are not there are empty.
func Read(ctx context.Context, c Config) (*catalog.Catalog, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	all, _, err := c.read(ctx)
	return all, err
}

func (c *Config) provision(ctx context.Context) error {
	return kafka.Provision(ctx, c.Kafka, kafka.Replicas(c.ReplicationFactor), c.Names.Shared()...)
}

// read folds the topics up to their ends, and says where they go on.
func (c *Config) read(ctx context.Context) (*catalog.Catalog, map[kafka.TopicPartition]int64, error) {
	reader, err := kafka.NewReader(c.Kafka)
	if err != nil {
		return nil, nil, err
	}
	defer reader.Close()
	all, next := catalog.New(), make(map[kafka.TopicPartition]int64)
	for _, p := range c.partitions() {
		ranges, err := reader.Ranges(ctx, p.Topic)
		if errors.Is(err, kafka.ErrNoTopic) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		bounds := ranges[p]
		if err := reader.ReadTo(ctx, p, bounds.Start, bounds.End, func(r *kafka.Record) error {
			c.apply(ctx, all, r)
			return nil
		}); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", p.Topic, err)
		}
		next[p] = bounds.End
	}
	return all, next, nil
}

// apply takes one record in. What cannot be used is reported, and is as if it were
// not there: of a server that somebody changed in a way that nobody understands,
// nothing is called.
func (c *Config) apply(ctx context.Context, all *catalog.Catalog, r *kafka.Record) {
	var err error
	key := string(r.Key)
	switch r.Topic {
	case c.Names.MCPSubsystems():
		err = applySubsystem(all, key, r.Value)
	case c.Names.MCPTools():
		err = applyTool(all, key, r.Value)
	case c.Names.MCPHealth():
		err = applyHealth(all, key, r.Value)
	}
	if err != nil {
		c.Logger.LogAttrs(ctx, slog.LevelError, "record about mcp cannot be used", slog.String("topic", r.Topic), slog.String("key", key),
			slog.Int64("offset", r.Offset), slog.Any("error", err))
	}
}

func applySubsystem(all *catalog.Catalog, key string, value []byte) error {
	all.DropSubsystem(key)
	if value == nil {
		return nil
	}
	s, err := avro.DecodeSubsystem(value)
	switch {
	case err != nil:
		return err
	case s.SubsystemID != key:
		return fmt.Errorf("the record is of subsystem %q", s.SubsystemID)
	}
	if problems := s.Problems(); len(problems) > 0 {
		return errors.Join(problems...)
	}
	all.PutSubsystem(s)
	return nil
}

func applyTool(all *catalog.Catalog, key string, value []byte) error {
	all.DropTool(key)
	if value == nil {
		return nil
	}
	t, err := avro.DecodeTool(value)
	switch {
	case err != nil:
		return err
	case t.Key() != key:
		return fmt.Errorf("the record is of %s", t.Key())
	}
	all.PutTool(t)
	return nil
}

func applyHealth(all *catalog.Catalog, key string, value []byte) error {
	all.DropHealth(key)
	if value == nil {
		return nil
	}
	h, err := avro.DecodeHealth(value)
	switch {
	case err != nil:
		return err
	case h.Key() != key:
		return fmt.Errorf("the record is of %s", h.Key())
	}
	all.PutHealth(h)
	return nil
}
