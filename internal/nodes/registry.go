package nodes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/spi/node"
)

// RegisterWorkflowNode implements [node.Registrar]. Run has to run meanwhile.
func (n *Nodes) RegisterWorkflowNode(ctx context.Context, record events.NodeRecord) (string, error) {
	record.Beat = 0
	if err := record.Validate(); err != nil {
		return "", errors.Join(node.ErrInvalid, err)
	}
	if err := n.WaitReady(ctx); err != nil {
		return "", err
	}
	k := node.Key{NodeID: record.NodeID, Incarnation: record.Incarnation}
	switch _, err := n.record(k); {
	case err == nil:
		return record.NodeID, nil
	case n.Has(k): // and expired, whether its record is deleted yet or not
		return "", err
	}
	if err := n.say(ctx, &record); err != nil {
		return "", err
	}
	return record.NodeID, nil
}

// UpdateNodeHeartbeat implements [node.Registrar].
func (n *Nodes) UpdateNodeHeartbeat(ctx context.Context, id string, incarnation events.UUID, load node.Load) error {
	if err := n.WaitReady(ctx); err != nil {
		return err
	}
	record, err := n.record(node.Key{NodeID: id, Incarnation: incarnation})
	if err != nil {
		return err
	}
	record.Beat++
	record.Load, record.Shares, record.BeatAt = load.Used, load.Shares, events.Instant(n.config.Clock())
	return n.say(ctx, &record)
}

// record is the newest that an incarnation has said.
func (n *Nodes) record(k node.Key) (events.NodeRecord, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, is := range n.view.Nodes(n.config.Clock()) {
		if is.Key() == k {
			return is.NodeRecord, nil
		}
	}
	return events.NodeRecord{}, node.ErrGone
}

// say writes a node's record and waits until it is taken in: then it is known whether
// it counts, to us and to everybody else.
func (n *Nodes) say(ctx context.Context, record *events.NodeRecord) error {
	value, err := avro.EncodeNode(record)
	if err != nil {
		return errors.Join(node.ErrInvalid, err)
	}
	r := kafka.NewRecord(n.partition().Topic, []byte(record.NodeID), value)
	r.Headers = []kafka.Header{{Key: "content-type", Value: []byte(avro.ContentType)}}
	if err := n.send(ctx, r); err != nil {
		return err
	}
	k := node.Key{NodeID: record.NodeID, Incarnation: record.Incarnation}
	n.mu.Lock()
	defer n.mu.Unlock()
	if beat, there := n.view.Beat(k); !there || beat < record.Beat {
		return node.ErrGone
	}
	return nil
}

// send writes one record and waits until it is taken in.
func (n *Nodes) send(ctx context.Context, r *kafka.Record) error {
	producer, err := n.openProducer()
	if err != nil {
		return err
	}
	if err := producer.Send(ctx, r); err != nil {
		return err
	}
	return n.await(ctx, func() bool { return n.next > r.Offset })
}

// DeregisterWorkflowNode implements [node.Registrar].
func (n *Nodes) DeregisterWorkflowNode(ctx context.Context, id string, incarnation events.UUID) error {
	if err := n.WaitReady(ctx); err != nil {
		return err
	}
	return n.deregister(ctx, node.Key{NodeID: id, Incarnation: incarnation})
}

// deregister deletes the record of an incarnation, unless another has taken its place.
func (n *Nodes) deregister(ctx context.Context, k node.Key) error {
	n.mu.Lock()
	there := n.view.Has(k)
	n.mu.Unlock()
	if !there {
		return nil
	}
	return n.send(ctx, n.tombstone(k))
}

// tombstone deletes a record, and says of whom.
func (n *Nodes) tombstone(k node.Key) *kafka.Record {
	r := kafka.NewRecord(n.partition().Topic, []byte(k.NodeID), nil)
	r.Headers = []kafka.Header{{Key: headerIncarnation, Value: []byte(k.Incarnation.String())}}
	return r
}

// WorkflowNodes implements [node.Discovery].
func (n *Nodes) WorkflowNodes(ctx context.Context) ([]node.Node, error) {
	if err := n.WaitReady(ctx); err != nil {
		return nil, err
	}
	list, _ := n.Known()
	for i := range list {
		list[i] = list[i].Copied()
	}
	return list, nil
}

// Known lists the nodes that are not expired, and the revision of the list: without
// waiting, for the router. What is in it must not be changed. The revision is 0 while
// they are not read yet.
func (n *Nodes) Known() (list []node.Node, revision int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.caught {
		return nil, 0
	}
	return n.view.Nodes(n.config.Clock()), n.revision
}

// Revision rises when nodes come, go or say something new; 0 while they are not read.
func (n *Nodes) Revision() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.caught {
		return 0
	}
	return n.revision
}

// Has reports whether an incarnation is there, as far as the topic says.
func (n *Nodes) Has(k node.Key) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.view.Has(k)
}

// FindCapableNodes implements [node.Discovery].
func (n *Nodes) FindCapableNodes(ctx context.Context, needs node.Needs) ([]node.Node, error) {
	if err := needs.Validate(); err != nil {
		return nil, err
	}
	if err := n.WaitReady(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return node.NodesOf(node.Capable(n.view.Nodes(n.config.Clock()), &needs, n.ledger.Given)), nil
}

// AssignTaskToNode implements [node.Assigner].
func (n *Nodes) AssignTaskToNode(ctx context.Context, task node.Task) (node.Node, error) {
	if err := n.WaitReady(ctx); err != nil {
		return node.Node{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ledger.Assign(n.config.Strategy, n.view.Nodes(n.config.Clock()), task)
}

// ReleaseTask implements [node.Assigner].
func (n *Nodes) ReleaseTask(_ context.Context, task events.UUID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ledger.Release(task)
	return nil
}

func (n *Nodes) openProducer() (*kafka.Producer, error) {
	n.producing.Lock()
	defer n.producing.Unlock()
	if n.producer == nil {
		p, err := kafka.NewProducer(n.config.Kafka)
		if err != nil {
			return nil, fmt.Errorf("say that a node is there: %w", err)
		}
		n.producer = p
	}
	return n.producer, nil
}

func (n *Nodes) closeProducer() {
	n.producing.Lock()
	defer n.producing.Unlock()
	if n.producer != nil {
		n.producer.Close()
		n.producer = nil
	}
}

// sweepLoop deletes the records of nodes that are expired, until ctx ends.
func (n *Nodes) sweepLoop(ctx context.Context) {
	if n.config.Kafka.Virtual() {
		return // whoever beats within this process lives as long as it does
	}
	health := 0
	for ; ctx.Err() == nil; kafka.Pause(ctx, sweepEvery) {
		if now := n.sick(); now != health { // nobody says that they are silent
			health = now
			n.bump()
			n.tell()
		}
		if n.config.Sweep {
			n.sweep(ctx)
		}
	}
}

// sick counts the nodes that are unhealthy or expired.
func (n *Nodes) sick() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.config.Clock()
	sick := len(n.view.Expired(now))
	for _, is := range n.view.Nodes(now) {
		if is.Health != events.HealthHealthy {
			sick++
		}
	}
	return sick
}

func (n *Nodes) bump() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.revision++
}

// sweep deletes what is expired. Whether it is, is looked at again when all that is
// in the topic has been read: a process that stood still has missed the beats, and
// not the nodes.
func (n *Nodes) sweep(ctx context.Context) {
	if len(n.toDelete()) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if n.Sync(ctx) != nil {
		return // next time
	}
	for _, k := range n.toDelete() {
		if n.send(ctx, n.tombstone(k)) != nil {
			return
		}
		n.mu.Lock()
		delete(n.late, k)
		n.mu.Unlock()
		n.config.Logger.Warn("node was silent for too long and is given up", "node", k.NodeID, "incarnation", k.Incarnation.String())
		if n.config.Metrics.Expired != nil {
			n.config.Metrics.Expired()
		}
		n.tell()
	}
}

// toDelete lists the incarnations whose records are to be deleted: they are expired,
// or have beaten when they were gone already.
func (n *Nodes) toDelete() []node.Key {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.view.Expired(n.config.Clock())
	for k := range n.late {
		list = append(list, k)
	}
	return list
}
