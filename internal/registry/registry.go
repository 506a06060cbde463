// Package registry follows workflow.definitions: which versions of which
// workflows are deployed, compiled and ready to decide with.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/definition"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/fsm"
	"github.com/leat-io/leat/pkg/topics"
)

// Config says where the definitions are.
type Config struct {
	Kafka             kafka.Config
	Names             topics.Names
	ReplicationFactor int16        // of the definitions topic, if it has to be made; 0 is the broker's default
	Logger            *slog.Logger // default: none
}

// Registry holds every deployed definition. Run follows the topic; the other
// methods are safe for concurrent use.
type Registry struct {
	config Config

	mu       sync.Mutex
	types    map[string]*workflowType
	next     int64         // next offset of the definitions topic to follow
	moved    chan struct{} // closed and replaced whenever next moves on
	caught   bool          // the end of the log at the start of Run was reached
	watchers []func()
	failed   error // why the topic cannot be read now
	held     kafka.Held
}

// workflowType is every version of one type.
type workflowType struct {
	newest     int32
	partitions int32
	versions   map[int32]version
}

type version struct {
	record  events.DefinitionRecord
	machine *fsm.Machine
}

// New makes an empty registry.
func New(c Config) *Registry {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Registry{config: c, types: make(map[string]*workflowType), moved: make(chan struct{})}
}

// Run follows the topic until ctx ends. It makes the topic when it is missing,
// and waits for a broker that is away.
func (r *Registry) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watching.Go(func() {
		r.held.Watch(ctx, r.config.Kafka, func() []string { return []string{r.config.Names.Definitions(), r.config.Names.Schedules()} })
	})
	return kafka.KeepOn(ctx, r.follow, func(err error) {
		r.setFailed(err)
		r.config.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot read definitions, trying again", slog.Any("error", err))
	})
}

func (r *Registry) follow(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	from, err := r.readToEnd(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.caught, r.failed = true, nil
	r.mu.Unlock()
	r.advance(from)
	r.tellWatchers()
	fetcher, err := kafka.NewFetcher(r.config.Kafka)
	if err != nil {
		return err
	}
	defer fetcher.Close()
	fetcher.Add(r.partition(), from)
	for ctx.Err() == nil {
		records, err := fetcher.Poll(ctx, 1000)
		if err != nil {
			return err
		}
		r.setFailed(nil)
		for _, record := range records {
			r.apply(ctx, record)
			r.advance(record.Offset + 1)
		}
		if len(records) > 0 {
			r.tellWatchers()
		}
	}
	return nil
}

// readToEnd takes in what is deployed by now. It may run beside follow: a
// version that is known stays what it is.
func (r *Registry) readToEnd(ctx context.Context) (end int64, err error) {
	reader, err := kafka.NewReader(r.config.Kafka)
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	bounds, err := reader.Range(ctx, r.partition())
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	emptied := r.next > bounds.End
	if emptied {
		r.next = bounds.Start
	}
	from := max(r.next, bounds.Start)
	r.mu.Unlock()
	if emptied {
		r.config.Logger.LogAttrs(ctx, slog.LevelError, "the topic of definitions was deleted and created again, writing back what is known here",
			slog.String("topic", r.partition().Topic))
		if err := r.writeBack(ctx); err != nil {
			return 0, err
		}
		return r.readToEnd(ctx)
	}
	err = reader.ReadTo(ctx, r.partition(), from, bounds.End, func(record *kafka.Record) error {
		r.apply(ctx, record)
		return nil
	})
	return max(from, bounds.End), err
}

// prepare makes or checks the topic.
func (r *Registry) prepare(ctx context.Context) error {
	return kafka.Provision(ctx, r.config.Kafka, kafka.Replicas(r.config.ReplicationFactor), r.config.Names.Shared()...)
}

func (r *Registry) partition() kafka.TopicPartition {
	return kafka.TopicPartition{Topic: r.config.Names.Definitions()}
}

// apply takes one record in. What cannot be used is reported and left out: it
// can only come from another program, since deploying validates.
func (r *Registry) apply(ctx context.Context, record *kafka.Record) {
	if record.Value == nil {
		return // a deployed version never changes, so it does not go either
	}
	machine, deployed, err := compile(string(record.Key), record.Value)
	if err != nil {
		r.config.Logger.LogAttrs(ctx, slog.LevelError, "definition cannot be used", slog.String("key", string(record.Key)),
			slog.Int64("offset", record.Offset), slog.Any("error", err))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.types[deployed.WorkflowType]
	if t != nil && t.partitions != deployed.Partitions {
		r.config.Logger.LogAttrs(ctx, slog.LevelError, "definition cannot be used: its type has another partition count",
			slog.String("key", string(record.Key)), slog.Int64("offset", record.Offset),
			slog.Int("partitions", int(deployed.Partitions)), slog.Int("of_type", int(t.partitions)))
		return
	}
	if t == nil {
		t = &workflowType{partitions: deployed.Partitions, versions: make(map[int32]version)}
		r.types[deployed.WorkflowType] = t
	}
	if first, known := t.versions[deployed.Version]; known {
		if first.record.Source != deployed.Source {
			// Everyone reads the same log from its start, so for everyone the first counts.
			r.config.Logger.LogAttrs(ctx, slog.LevelError, "a deployed version was written again with other content, the first one counts",
				slog.String("key", string(record.Key)), slog.Int64("offset", record.Offset), slog.String("by", deployed.DeployedBy))
		}
		return // a deployed version never changes
	}
	t.versions[deployed.Version] = version{record: deployed, machine: machine}
	t.newest = max(t.newest, deployed.Version)
}

func compile(key string, value []byte) (*fsm.Machine, events.DefinitionRecord, error) {
	deployed, err := avro.DecodeDefinition(value)
	if err != nil {
		return nil, deployed, err
	}
	if name := deployed.Key(); name != key {
		// Compaction keeps what is newest of each key, so this one would come and go with another version.
		return nil, deployed, fmt.Errorf("the record is of %s", name)
	}
	name := fmt.Sprintf("%s@%d", deployed.WorkflowType, deployed.Version)
	machine, findings, err := definition.Parse(name, []byte(deployed.Source))
	if err == nil {
		err = findings.Err()
	}
	if err == nil && (machine.Type() != deployed.WorkflowType || machine.Version() != deployed.Version) {
		err = fmt.Errorf("the source is of %s@%d", machine.Type(), machine.Version())
	}
	return machine, deployed, err
}

func (r *Registry) advance(next int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = max(r.next, next)
	close(r.moved)
	r.moved = make(chan struct{})
}

// Sync takes in everything that is deployed at the time of the call, so that
// "unknown version" is never said of one that is.
func (r *Registry) Sync(ctx context.Context) error {
	if _, err := r.readToEnd(ctx); err != nil {
		return fmt.Errorf("look for newer definitions: %w", err)
	}
	return nil
}

// WaitReady waits until the definitions that were deployed before Run are known.
func (r *Registry) WaitReady(ctx context.Context) error {
	for {
		r.mu.Lock()
		caught, moved := r.caught, r.moved
		r.mu.Unlock()
		if caught {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("definitions are not read yet: %w", ctx.Err())
		}
	}
}

// Ready is nil once WaitReady would return.
func (r *Registry) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.caught:
		return errors.New("definitions are not read yet")
	case r.failed != nil:
		return fmt.Errorf("definitions cannot be read: %w", r.failed)
	}
	return r.held.Ready()
}

func (r *Registry) setFailed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = err
}

// Machine is the compiled definition of a type's version; version 0 is the
// newest.
func (r *Registry) Machine(workflowType string, of int32) (*fsm.Machine, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.types[workflowType]
	if t == nil {
		return nil, false
	}
	if of == 0 {
		of = t.newest
	}
	v, ok := t.versions[of]
	return v.machine, ok
}

// Partitions is the partition count of a type's topics, 0 for an unknown type.
func (r *Registry) Partitions(workflowType string) int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.types[workflowType]; t != nil {
		return t.partitions
	}
	return 0
}

// Types lists the deployed types in order.
func (r *Registry) Types() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.types))
}

// Records lists every deployed version, by type and version.
func (r *Registry) Records() []events.DefinitionRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []events.DefinitionRecord
	for _, name := range slices.Sorted(maps.Keys(r.types)) {
		versions := r.types[name].versions
		for _, v := range slices.Sorted(maps.Keys(versions)) {
			list = append(list, versions[v].record)
		}
	}
	return list
}

// Subscribe calls changed, from Run's goroutine, whenever definitions came in.
func (r *Registry) Subscribe(changed func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers = append(r.watchers, changed)
}

func (r *Registry) tellWatchers() {
	r.mu.Lock()
	watchers := slices.Clone(r.watchers)
	r.mu.Unlock()
	for _, changed := range watchers {
		changed()
	}
}
