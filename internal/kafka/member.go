package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// MemberConfig is one member of a consumer group.
type MemberConfig struct {
	Group string
	// InstanceID makes the membership static: a restart within SessionTimeout
	// gets the same partitions back without a rebalance.
	InstanceID     string
	Topics         []string
	SessionTimeout time.Duration // default 6 s; the broker's minimum is 6 s unless configured
	// Assigned is called with the partitions that the member gets, each with the group's
	// committed offset, or -1 when there is none. The offsets are stable: no
	// transaction of an earlier owner is open on them any more. Revoked is called with
	// the partitions that are revoked, and the group waits for Revoked to
	// return: their next owner starts only then. Both are required and called by
	// the member's own goroutine, one at a time.
	Assigned func(map[TopicPartition]int64)
	Revoked  func([]TopicPartition)
	// Renewed is called when the group had forgotten the member and took it in again
	// under another id, which the client does by itself: others may have owned the
	// partitions meanwhile, also those that are the member's again, and nothing is
	// revoked or assigned because of it. What was known of them no longer holds.
	// Nil for a member that may repeat work.
	Renewed func()
	// Replaced is called when another member has taken this one's InstanceID: it
	// will never get partitions again. Required with an InstanceID.
	Replaced func()
	// Lost is called instead of Revoked when the partitions may be another
	// member's already.
	Lost func([]TopicPartition)
}

// Member is a worker's place in a consumer group: it owns partitions and reads
// nothing. Reading is the [Fetcher]'s, so that an offset is only ever what the
// worker says, and no rebalance can move it.
type Member struct {
	client *kgo.Client
	kafka  Config
	config MemberConfig

	mu    sync.Mutex
	id    string                  // of the membership that the partitions are owned under
	owned map[TopicPartition]bool // assigned and not revoked since
}

// NewMember joins the group in the background.
func NewMember(c Config, m MemberConfig) (*Member, error) {
	if m.SessionTimeout == 0 {
		m.SessionTimeout = 6 * time.Second
	}
	member := &Member{kafka: c, config: m, owned: make(map[TopicPartition]bool)}
	opts := []kgo.Opt{
		kgo.ConsumerGroup(m.Group),
		kgo.ConsumeTopics(m.Topics...),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(c.session(m.SessionTimeout)),
		kgo.HeartbeatInterval(m.SessionTimeout / 6),
		kgo.RebalanceTimeout(max(m.SessionTimeout, 10*time.Second)),
		kgo.MetadataMinAge(10 * time.Millisecond),
		kgo.AdjustFetchOffsetsFn(member.tellAssigned),
		kgo.OnPartitionsAssigned(func(_ context.Context, c *kgo.Client, a map[string][]int32) {
			member.joined(c.GroupMetadata())
			member.own(flatten(a))
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, r map[string][]int32) { m.Revoked(member.disown(flatten(r))) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, l map[string][]int32) { m.Lost(member.disown(flatten(l))) }),
		fastRetry(),
	}
	if m.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(m.InstanceID), kgo.WithHooks(replacedHook(m.Replaced)))
	}
	client, err := c.newClient(opts...)
	if err != nil {
		return nil, err
	}
	// The member never polls; paused topics are not fetched at all.
	client.PauseFetchTopics(m.Topics...)
	member.client = client
	return member, nil
}

// joined hears of every new generation, once it is known what the member has
// lost by it and before it learns what it got.
func (m *Member) joined(id string, _ int32) {
	m.mu.Lock()
	before := m.id
	m.mu.Unlock()
	if before != "" && before != id && m.config.Renewed != nil {
		m.config.Renewed()
	}
	m.mu.Lock()
	m.id = id
	m.mu.Unlock()
}

// replacedHook hears of the one error after which the client does not join again.
type replacedHook func()

func (h replacedHook) OnGroupManageError(err error) {
	if errors.Is(err, kerr.FencedInstanceID) {
		h()
	}
}

var _ kgo.HookGroupManageError = replacedHook(nil)

// own and disown note what the member has.
func (m *Member) own(list []TopicPartition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range list {
		m.owned[p] = true
	}
}

func (m *Member) disown(list []TopicPartition) []TopicPartition {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range list {
		delete(m.owned, p)
	}
	return list
}

// tellAssigned hears of an assignment where its committed offsets are known.
//
// The client also asks, with those of a new assignment, for offsets that it did
// not get while an earlier one lasted, and does not forget them when they are
// revoked meanwhile: a restarted static member is given its old assignment, and
// leaves it at once for topics that it does not subscribe to yet. These are
// another member's by now, so only what is still owned is handed on.
func (m *Member) tellAssigned(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	assigned := make(map[TopicPartition]int64)
	m.mu.Lock()
	for topic, partitions := range offsets {
		for partition, offset := range partitions {
			if p := (TopicPartition{topic, partition}); m.owned[p] {
				assigned[p] = max(offset.EpochOffset().Offset, -1)
			}
		}
	}
	m.mu.Unlock()
	m.config.Assigned(assigned)
	return offsets, nil
}

// AddTopics widens the subscription.
func (m *Member) AddTopics(topics ...string) {
	m.kafka.move()
	m.client.PauseFetchTopics(topics...)
	m.client.AddConsumeTopics(topics...)
}

// Renew subscribes to topics anew that were deleted and are there again: the
// client would go on to ask for the old ones. Their partitions are revoked and
// assigned again.
func (m *Member) Renew(topics ...string) {
	m.kafka.move()
	m.client.PurgeTopicsFromConsuming(topics...)
	m.AddTopics(topics...)
}

// Generation is the member's id and generation, as the coordinator checks them
// on commit; ok is false outside the group, and while it is not known what the
// member owns under a new id. Nothing may be committed then: the coordinator
// checks the generation and not the partitions.
func (m *Member) Generation() (memberID string, generation int32, ok bool) {
	memberID, generation = m.client.GroupMetadata()
	m.mu.Lock()
	defer m.mu.Unlock()
	return memberID, generation, memberID != "" && generation >= 0 && memberID == m.id
}

// Commit sets the group's offsets outside of a transaction: the next offsets to
// read. It is for workers whose truth is elsewhere or that may repeat work.
func (m *Member) Commit(ctx context.Context, next map[TopicPartition]int64) error {
	offsets := make(map[string]map[int32]kgo.EpochOffset, len(next))
	for p, at := range next {
		if offsets[p.Topic] == nil {
			offsets[p.Topic] = make(map[int32]kgo.EpochOffset)
		}
		offsets[p.Topic][p.Partition] = kgo.EpochOffset{Epoch: -1, Offset: at}
	}
	var failed error
	m.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *offsetCommitRequest, resp *offsetCommitResponse, err error) {
		failed = commitError(resp, err)
	})
	if failed != nil {
		return fmt.Errorf("commit offsets of group %s: %w", m.config.Group, failed)
	}
	return nil
}

// Leave gives the partitions up at once and closes. A static member, whose
// place the group would keep until the session ends, is taken out by name and
// member id, so that no member that has taken its place is meant.
func (m *Member) Leave(ctx context.Context) error {
	defer closeWithin(m.client.CloseAllowingRebalance)
	memberID, _, joined := m.Generation()
	err := m.client.LeaveGroupContext(ctx)
	if err == nil && joined && m.config.InstanceID != "" {
		err = m.leaveStatic(ctx, memberID)
	}
	if err != nil {
		return fmt.Errorf("leave group %s: %w", m.config.Group, err)
	}
	return nil
}

func (m *Member) leaveStatic(ctx context.Context, memberID string) error {
	member := kmsg.NewLeaveGroupRequestMember()
	member.MemberID, member.InstanceID = memberID, new(m.config.InstanceID)
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.Members = m.config.Group, append(req.Members, member)
	resp, err := req.RequestWith(ctx, m.client)
	if err != nil {
		return err
	}
	err = kerr.ErrorForCode(resp.ErrorCode)
	for _, r := range resp.Members {
		err = errors.Join(err, kerr.ErrorForCode(r.ErrorCode))
	}
	if errors.Is(err, kerr.FencedInstanceID) || errors.Is(err, kerr.UnknownMemberID) {
		return nil // the place is another's already
	}
	return err
}

// Close ends the member as a crash would: the group finds out by itself.
func (m *Member) Close() { closeWithin(m.client.CloseAllowingRebalance) }

func flatten(m map[string][]int32) []TopicPartition {
	var list []TopicPartition
	for topic, partitions := range m {
		for _, p := range partitions {
			list = append(list, TopicPartition{topic, p})
		}
	}
	slices.SortFunc(list, func(a, b TopicPartition) int {
		if a.Topic != b.Topic {
			if a.Topic < b.Topic {
				return -1
			}
			return 1
		}
		return int(a.Partition - b.Partition)
	})
	return list
}
