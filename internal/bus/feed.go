package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/spi/workflow"
	"github.com/leat-io/leat/pkg/events"
)

// feed follows the events and outcomes of one workflow type, from before its
// first command is written, and tells who published which command what it led to.
type feed struct {
	w            *Workflow
	workflowType string

	mu        sync.Mutex
	err       error          // why it ended
	ready     bool           // it follows, and queue has been sent
	queue     []*publication // in order, until it is ready
	waiting   map[events.UUID][]*publication
	instances map[events.UUID]int // how many wait, by instance
}

// publication is one command on its way. Its fields below the line are guarded
// by the feed's lock.
type publication struct {
	command *events.Command
	done    func(workflow.Ack, error)

	stop     func() bool // stops to wait for the end of its context
	ack      workflow.Ack
	err      error
	decided  bool // ack and err are complete
	finished bool // done was called, or is about to be
}

const (
	followTimeout = 30 * time.Second
	followRecords = 5000
)

func newFeed(w *Workflow, workflowType string) *feed {
	return &feed{w: w, workflowType: workflowType, waiting: make(map[events.UUID][]*publication), instances: make(map[events.UUID]int)}
}

// publish takes a command on; false says that the feed is over.
func (f *feed) publish(ctx context.Context, p *publication) bool {
	f.mu.Lock()
	switch {
	case errors.Is(f.err, workflow.ErrClosed):
		f.mu.Unlock()
		go p.done(p.ack, workflow.ErrClosed)
		return true
	case f.err != nil:
		f.mu.Unlock()
		return false
	}
	c := p.command
	f.waiting[c.CommandID] = append(f.waiting[c.CommandID], p)
	f.instances[c.InstanceID]++
	p.stop = context.AfterFunc(ctx, func() { f.finish(p, ctx.Err()) })
	if !f.ready {
		f.queue = append(f.queue, p)
		f.mu.Unlock()
		return true
	}
	f.mu.Unlock()
	f.send(p)
	return true
}

// send writes a command. Its delivery does not depend on the publisher's
// context: that bounds the waiting.
func (f *feed) send(p *publication) {
	value, err := avro.EncodeCommand(p.command)
	if err != nil {
		go f.finish(p, fmt.Errorf("%w: %w", workflow.ErrInvalid, err))
		return
	}
	f.mu.Lock()
	over := p.finished
	f.mu.Unlock()
	if over {
		return
	}
	record := kafka.NewRecord(f.w.config.Names.Commands(f.workflowType), []byte(p.command.InstanceID.String()), value)
	record.Headers = []kafka.Header{{Key: "content-type", Value: []byte(avro.ContentType)}}
	f.w.bus.producer.Go(f.w.life, record, func(err error) {
		if err != nil {
			f.finish(p, f.w.explain(f.workflowType, err))
		}
	})
}

// finish ends a publication once, with err or with what was decided.
func (f *feed) finish(p *publication, err error) {
	f.mu.Lock()
	if p.finished {
		f.mu.Unlock()
		return
	}
	p.finished = true
	if p.decided {
		err = p.err
	}
	c := p.command
	for i, other := range f.waiting[c.CommandID] {
		if other == p {
			f.waiting[c.CommandID] = append(f.waiting[c.CommandID][:i:i], f.waiting[c.CommandID][i+1:]...)
			break
		}
	}
	if len(f.waiting[c.CommandID]) == 0 {
		delete(f.waiting, c.CommandID)
	}
	if f.instances[c.InstanceID]--; f.instances[c.InstanceID] == 0 {
		delete(f.instances, c.InstanceID)
	}
	ack := p.ack
	f.mu.Unlock()
	p.stop()
	p.done(ack, err)
}

// fail ends the feed and everything that waits for it.
func (f *feed) fail(err error) {
	f.mu.Lock()
	f.err = err
	var all []*publication
	for _, list := range f.waiting {
		all = append(all, list...)
	}
	f.mu.Unlock()
	for _, p := range all {
		f.finish(p, err)
	}
}

// run follows until the engine is closed, or ends when it cannot begin.
func (f *feed) run() {
	fetcher, err := f.begin()
	if err != nil {
		f.w.mu.Lock()
		delete(f.w.feeds, f.workflowType)
		f.w.mu.Unlock()
		f.fail(f.w.explain(f.workflowType, err))
		return
	}
	defer fetcher.Close()
	var sending sync.WaitGroup
	sending.Go(f.sendQueue)
	f.follow(fetcher)
	sending.Wait()
	f.fail(workflow.ErrClosed)
}

// begin is a fetcher that will see everything that is committed from now on.
func (f *feed) begin() (*kafka.Fetcher, error) {
	ctx, cancel := context.WithTimeout(f.w.life, followTimeout)
	defer cancel()
	ends := make(map[kafka.TopicPartition]int64)
	names := f.w.config.Names
	for _, topic := range []string{names.Events(f.workflowType), names.Outcomes(f.workflowType)} {
		ranges, err := f.w.bus.reader.Ranges(ctx, topic)
		if err != nil {
			return nil, err
		}
		for p, r := range ranges {
			ends[p] = r.End
		}
	}
	fetcher, err := kafka.NewFetcher(f.w.config.Kafka)
	if err == nil {
		fetcher.AddAll(ends)
	}
	return fetcher, err
}

// sendQueue sends what was published before the feed was ready, in order.
func (f *feed) sendQueue() {
	for {
		f.mu.Lock()
		queue := f.queue
		f.queue = nil
		f.ready = len(queue) == 0
		f.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, p := range queue {
			f.send(p)
		}
	}
}

func (f *feed) follow(fetcher *kafka.Fetcher) {
	outcomes := f.w.config.Names.Outcomes(f.workflowType)
	var decided []*publication
	for {
		records, err := fetcher.Poll(f.w.life, followRecords)
		if f.w.life.Err() != nil {
			return
		}
		if err != nil {
			f.w.config.Logger.LogAttrs(f.w.life, slog.LevelWarn, "cannot read decisions, trying again",
				slog.String("type", f.workflowType), slog.Any("error", err))
			kafka.Pause(f.w.life, 100*time.Millisecond)
		}
		for _, r := range records {
			var p *publication
			if r.Topic == outcomes {
				p = f.outcome(r)
			} else {
				p = f.event(r)
			}
			if p != nil {
				decided = append(decided, p)
			}
		}
		// What is committed together becomes visible at once. When the poll was not
		// cut, the other events of a decision are behind us too, and will not be
		// taken for the decision on a command with the same id.
		if len(records) == followRecords {
			continue
		}
		for _, p := range decided {
			f.finish(p, nil)
		}
		clear(decided)
		decided = decided[:0]
	}
}

// event is the publication that an event is the first one of.
func (f *feed) event(r *kafka.Record) *publication {
	id, err := events.ParseUUID(string(r.Key))
	f.mu.Lock()
	awaited := f.instances[id] > 0
	f.mu.Unlock()
	if err != nil || !awaited {
		return nil
	}
	e, err := avro.DecodeFact(r.Key, r.Value, r.Offset)
	if err != nil {
		return nil
	}
	command, err := events.ParseUUID(e.Metadata[events.MetadataCommandID].Str())
	if err != nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.waiting[command]
	for _, p := range list {
		if p.decided && p.ack.Status == "" && p.err == nil {
			return nil // a later event of the same decision
		}
	}
	return decide(list, func(p *publication) { p.ack.EventID, p.ack.SequenceNumber = e.EventID, e.SequenceNumber })
}

// outcome is the publication that an outcome answers.
func (f *feed) outcome(r *kafka.Record) *publication {
	command, err := events.ParseUUID(string(r.Key))
	if err != nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.waiting[command]
	if len(list) == 0 {
		return nil
	}
	o, err := avro.DecodeOutcome(r.Value)
	if err != nil {
		return nil
	}
	return decide(list, func(p *publication) {
		p.ack.Status, p.ack.EventID, p.ack.SequenceNumber = o.Status, o.EventID, o.SequenceNumber
		if o.Status != events.OutcomeDuplicate {
			p.ack.EventID, p.ack.SequenceNumber = events.Nil, 0
		}
		p.err = refusal(&o)
	})
}

// decide completes the first publication that is not decided.
func decide(list []*publication, complete func(*publication)) *publication {
	for _, p := range list {
		if !p.decided {
			p.decided = true
			complete(p)
			return p
		}
	}
	return nil
}

// refusal is what an outcome means for the one who asked.
func refusal(o *events.Outcome) error {
	kind := workflow.ErrRejected
	switch o.Status {
	case events.OutcomeConflict:
		kind = workflow.ErrConflict
	case events.OutcomeRejected:
	default:
		return nil
	}
	if o.Error == nil {
		return kind
	}
	return fmt.Errorf("%w: %w", kind, o.Error)
}
