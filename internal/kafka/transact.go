package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Fence is what makes a transaction fail when the worker no longer owns what it
// decides: the coordinator compares the member's generation (KIP-447).
type Fence struct {
	Group      string
	InstanceID string // "" for a dynamic member
	MemberID   string
	Generation int32
	Next       map[TopicPartition]int64 // next offsets to read of the input partitions
}

// TransactionError says that a transaction was not committed as far as we know.
type TransactionError struct {
	Step string // begin, produce, fence, commit
	// Aborted is true when the broker confirmed the abort: nothing of the
	// transaction will ever be read, and the producer is fit for the next one.
	// Otherwise the outcome is unknown and the producer must be replaced.
	Aborted bool
	// Refused are the topics that did not take their records, and why: they are
	// gone, may not be written, or do not take such a record. It holds only what
	// trying again does not mend.
	Refused map[string]error
	Err     error
}

// Error reads "transaction: step: cause".
func (e *TransactionError) Error() string {
	return fmt.Sprintf("transaction failed at %s (aborted: %t): %v", e.Step, e.Aborted, e.Err)
}

// Unwrap is the cause.
func (e *TransactionError) Unwrap() error { return e.Err }

// Stale reports whether the fence refused because the group has moved on: the
// worker goes on with what it still owns.
func (e *TransactionError) Stale() bool {
	for _, stale := range []error{
		kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.RebalanceInProgress, kerr.FencedInstanceID,
	} {
		if errors.Is(e.Err, stale) {
			return true
		}
	}
	return false
}

// Transactor is one transactional producer: one transaction at a time. It is
// not safe for concurrent use.
type Transactor struct {
	client   *kgo.Client
	id       string
	version  int16 // the cluster's transaction.version
	outcomes *Outcomes
	topicID  func(string) [16]byte
}

// TransactorConfig tunes transactors.
type TransactorConfig struct {
	Timeout  time.Duration // after which the broker aborts an open transaction; default 10 s
	Outcomes *Outcomes     // notified of how transactions end; nil for none
}

// NewTransactor takes over transactional id: whatever an earlier owner has open
// is aborted, and it can commit nothing any more, when NewTransactor returns.
func NewTransactor(ctx context.Context, c Config, id string, t TransactorConfig) (*Transactor, error) {
	if t.Timeout == 0 {
		t.Timeout = 10 * time.Second
	}
	version, err := transactionVersion(ctx, c)
	if err != nil {
		return nil, err
	}
	opts := append(producing(),
		kgo.TransactionalID(id),
		kgo.ManualFlushing(),
		kgo.MaxBufferedRecords(1<<20),
		kgo.TransactionTimeout(t.Timeout),
		kgo.ConcurrentTransactionsBackoff(2*time.Millisecond),
	)
	if version < 2 {
		// Version 5 of TxnOffsetCommit would add the offsets to the transaction
		// by itself, which only transaction.version 2 understands.
		versions := kversion.Stable()
		versions.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 4)
		opts = append(opts, kgo.MaxVersions(versions))
	}
	client, err := c.newClient(opts...)
	if err != nil {
		return nil, err
	}
	t.Outcomes.begin(version)
	noteLast(ctx, kadm.NewClient(client), id, t.Outcomes)
	if _, _, err := client.ProducerID(ctx); err != nil {
		client.Close()
		return nil, fmt.Errorf("take over transactional id %s: %w", id, err)
	}
	ids := topicIDs{admin: kadm.NewClient(client), known: make(map[string][16]byte)}
	return &Transactor{client: client, id: id, version: version, outcomes: t.Outcomes, topicID: ids.get}, nil
}

// noteLast notes how the id's last transaction ended, before the takeover makes
// the coordinator forget it.
func noteLast(ctx context.Context, admin *kadm.Client, id string, outcomes *Outcomes) {
	if outcomes == nil {
		return
	}
	described, err := admin.DescribeTransactions(ctx, id)
	if err != nil {
		return // a new id has none, and what is not known is not mended
	}
	for _, d := range described {
		outcomes.noteLast(d)
	}
}

// transactionVersion asks the cluster for its finalized transaction.version;
// brokers without the feature (Kafka before 4.0, Redpanda) count as 1.
func transactionVersion(ctx context.Context, c Config) (int16, error) {
	client, err := c.newClient(fastRetry())
	if err != nil {
		return 0, err
	}
	defer closeWithin(client.Close)
	resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, client)
	if err != nil {
		return 0, fmt.Errorf("ask for the cluster's features: %w", err)
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "transaction.version" {
			return f.MaxVersionLevel, nil
		}
	}
	return 1, nil
}

// Commit writes records and the fence's offsets in one transaction. On nil
// everything is committed. Every error is a *TransactionError.
func (t *Transactor) Commit(ctx context.Context, records []*Record, fence Fence) error {
	if err := t.client.BeginTransaction(); err != nil {
		return &TransactionError{Step: "begin", Err: err}
	}
	if err := t.produce(ctx, records); err != nil {
		return t.abort(ctx, "produce", err)
	}
	id, epoch, err := t.client.ProducerID(ctx)
	if err == nil {
		err = t.fence(ctx, fence, id, epoch)
	}
	if err != nil {
		return t.abort(ctx, "fence", err)
	}
	if err := t.client.EndTransaction(ctx, kgo.TryCommit); err != nil {
		// It may or may not have been committed: only the log can tell.
		return &TransactionError{Step: "commit", Err: err}
	}
	t.outcomes.note(id, epoch, true)
	return nil
}

// produce waits for every record's own acknowledgement; a flush would not tell
// about records that failed. It waits no longer than ctx: the client goes on
// trying for ever with a record that a broker may have, and is closed then.
func (t *Transactor) produce(ctx context.Context, records []*Record) error {
	if len(records) == 0 {
		return nil
	}
	var (
		done  = make(chan struct{})
		left  atomic.Int64
		mu    sync.Mutex
		first *produceError
	)
	left.Store(int64(len(records)))
	for _, r := range records {
		t.client.Produce(ctx, r, func(r *kgo.Record, err error) {
			if err != nil {
				mu.Lock()
				first = first.note(r, err)
				mu.Unlock()
			}
			if left.Add(-1) == 0 {
				close(done)
			}
		})
	}
	// One request a broker, not one for the first records and others for the
	// rest. What Flush says, the acknowledgements below say as well.
	_ = t.client.Flush(ctx)
	select {
	case <-done:
		if first == nil {
			return t.known(ctx, records)
		}
		return first
	case <-ctx.Done():
		return fmt.Errorf("wait for %d of %d acknowledgements: %w", left.Load(), len(records), ctx.Err())
	}
}

// known waits until the client knows the topics of records that it has written. It
// may have written to a topic before it stores what it has learned of it, in a
// goroutine that has lost the processor; a transaction that ends in between has
// nothing in it as the client sees it, and is aborted without an error.
func (t *Transactor) known(ctx context.Context, records []*Record) error {
	last := ""
	for _, r := range records {
		if r.Topic == last {
			continue
		}
		for leader := int32(-1); leader < 0; {
			var err error
			if leader, _, err = t.client.PartitionLeader(r.Topic, r.Partition); leader >= 0 || err != nil {
				break // an error of loading is known of a topic that is known
			}
			if Pause(ctx, 50*time.Microsecond); ctx.Err() != nil {
				return fmt.Errorf("wait for what is known of %s: %w", r.Topic, ctx.Err())
			}
		}
		last = r.Topic
	}
	return nil
}

// produceError is the first record that was not written, and every topic that
// refused one permanently.
type produceError struct {
	err     error
	refused map[string]error
}

func (e *produceError) Error() string { return e.err.Error() }

func (e *produceError) Unwrap() error { return e.err }

// note adds a record that was not written. e may be nil.
func (e *produceError) note(r *Record, err error) *produceError {
	if e == nil {
		e = &produceError{err: fmt.Errorf("write to %s/%d: %w", r.Topic, r.Partition, err), refused: make(map[string]error)}
	}
	if refuses(err) && e.refused[r.Topic] == nil {
		e.refused[r.Topic] = err
	}
	return e
}

// refuses says whether an error is about the topic or the record, and stays
// however often the record is written.
func refuses(err error) bool {
	for _, refusal := range []error{
		kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InvalidTopicException, kerr.TopicAuthorizationFailed,
		kerr.InvalidRecord, kerr.PolicyViolation,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return IsTooLarge(err)
}

// IsGone says whether a topic is refused because it is not there, or is another
// than the client knows.
func IsGone(err error) bool {
	return errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID)
}

// IsTooLarge says whether a topic refused a record, or what was written with it,
// for its size.
func IsTooLarge(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge)
}

func (t *Transactor) fence(ctx context.Context, f Fence, id int64, epoch int16) error {
	if t.version < 2 {
		if err := t.addOffsets(ctx, f.Group, id, epoch); err != nil {
			return err
		}
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group = t.id, f.Group
	req.ProducerID, req.ProducerEpoch = id, epoch
	req.MemberID, req.Generation = f.MemberID, f.Generation
	if f.InstanceID != "" {
		req.InstanceID = new(f.InstanceID)
	}
	byTopic := make(map[string][]kmsg.TxnOffsetCommitRequestTopicPartition)
	for p, next := range f.Next {
		offset := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		offset.Partition, offset.Offset = p.Partition, next
		byTopic[p.Topic] = append(byTopic[p.Topic], offset)
	}
	for topic, partitions := range byTopic {
		rt := kmsg.NewTxnOffsetCommitRequestTopic()
		rt.Topic, rt.TopicID, rt.Partitions = topic, t.topicID(topic), partitions
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, t.client)
	if err != nil {
		return fmt.Errorf("commit offsets: %w", err)
	}
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("commit offset of %s/%d: %w", topic.Topic, p.Partition, err)
			}
		}
	}
	return nil
}

func (t *Transactor) addOffsets(ctx context.Context, group string, id int64, epoch int16) error {
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = t.id, group, id, epoch
	resp, err := req.RequestWith(ctx, t.client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("add offsets to the transaction: %w", err)
	}
	return nil
}

// abortTimeout bounds the abort of a transaction that failed, on top of the time
// that the transaction had.
const abortTimeout = 2 * time.Second

func (t *Transactor) abort(ctx context.Context, step string, cause error) error {
	// The abort must go out even when the work was cancelled.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	failed := &TransactionError{Step: step, Err: cause}
	if produced, ok := errors.AsType[*produceError](cause); ok {
		failed.Refused = produced.refused
	}
	if err := t.client.AbortBufferedRecords(ctx); err != nil {
		return failed
	}
	failed.Aborted = t.client.EndTransaction(ctx, kgo.TryAbort) == nil
	return failed
}

// Close leaves an open transaction to the timeout or to the id's next owner.
func (t *Transactor) Close() { closeWithin(t.client.Close) }

// topicIDs remembers topic ids: newer brokers match offsets by them.
type topicIDs struct {
	admin *kadm.Client
	known map[string][16]byte
}

func (t topicIDs) get(topic string) [16]byte {
	if id, ok := t.known[topic]; ok {
		return id
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	details, err := t.admin.ListTopics(ctx, topic)
	if err != nil || details[topic].Err != nil {
		return [16]byte{} // the broker answers UNKNOWN_TOPIC_ID and the transaction aborts
	}
	t.known[topic] = details[topic].ID
	return details[topic].ID
}
