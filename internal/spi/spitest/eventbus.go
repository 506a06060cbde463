package spitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/spi/eventbus"
	"github.com/leat-io/leat/pkg/topics"
)

// EventBusSetup is what a case works with.
type EventBusSetup struct {
	Bus        eventbus.EventBus
	Topic      string // there, and empty
	Partitions int32  // of Topic; at least 2
}

// TestEventBus runs every case of the contract [eventbus.EventBus]. open gives a
// fresh setup, and closes it in t.Cleanup.
func TestEventBus(t *testing.T, open func(t *testing.T) EventBusSetup) {
	t.Helper()
	runCases(t, EventBusCases(), open)
}

// EventBusCases lists the promises of the contract [eventbus.EventBus].
func EventBusCases() []Case[EventBusSetup] {
	return []Case[EventBusSetup]{
		{"PublishTellsWhereTheMessageIs", publishTells},
		{"PublishDoesNotWaitForCompletions", publishDoesNotWait},
		{"PublishRefuses", publishRefuses},
		{"SubscribeRefuses", subscribeRefuses},
		{"MessagesArriveWhole", messagesArriveWhole},
		{"PartitionsKeepTheirOrder", partitionsKeepOrder},
		{"MembersOfAGroupSplitPartitions", membersSplit},
		{"GroupsAllGetEverything", groupsGetEverything},
		{"AnErrorRedeliversAndStrandsNoSibling", errorRedelivers},
		{"UnsubscribeStopsAndTheGroupGoesOn", unsubscribeStops},
	}
}

func publishTells(ctx context.Context, s EventBusSetup) error {
	var p problems
	last := make(map[int32]int64)
	for i := range 20 {
		key := fmt.Appendf(nil, "key-%d", i%7)
		m, err := s.publish(ctx, key, "value")
		if err != nil {
			return err
		}
		if want := topics.Partition(key, s.Partitions); m.Partition != want {
			p.addf("key %s went to partition %d, want %d", key, m.Partition, want)
		}
		if before, ok := last[m.Partition]; m.Offset < 0 || ok && m.Offset <= before {
			p.addf("offset %d of partition %d came after %d", m.Offset, m.Partition, before)
		}
		last[m.Partition] = m.Offset
	}
	return p.err()
}

func publishDoesNotWait(ctx context.Context, s EventBusSetup) error {
	const n = 100
	gate, finished := make(chan struct{}), newCollector[error]()
	err := inTime(ctx, "Publish to return while a completion is stuck", func() {
		for i := range n {
			s.Bus.Publish(ctx, eventbus.Message{Topic: s.Topic, Key: fmt.Append(nil, i)}, func(_ eventbus.Message, err error) {
				<-gate
				finished.add(err)
			})
		}
	})
	close(gate)
	if err != nil {
		return err
	}
	all, err := finished.count(ctx, n)
	if err != nil {
		return err
	}
	if len(all) > n {
		return fmt.Errorf("%d completions of %d messages", len(all), n)
	}
	return errors.Join(all...)
}

func publishRefuses(ctx context.Context, s EventBusSetup) error {
	var p problems
	for _, c := range []struct {
		topic string
		ended bool // the context
		want  error
	}{
		{newName("no-such-topic"), false, eventbus.ErrNoTopic},
		{"", false, eventbus.ErrInvalid},
		{"workflow.order", false, eventbus.ErrRouterOnly},
		{"workflow.order.state", false, eventbus.ErrRouterOnly},
		{"tasks.shop", false, eventbus.ErrRouterOnly},
		{s.Topic, true, context.Canceled},
	} {
		done := make(chan error, 1)
		s.Bus.Publish(maybeEnded(ctx, c.ended), eventbus.Message{Topic: c.topic}, func(_ eventbus.Message, err error) { done <- err })
		got, err := wait(ctx, done, "a refusal")
		if err != nil {
			return err
		}
		if !errors.Is(got, c.want) {
			p.addf("publish to %q: %v, want %v", c.topic, got, c.want)
		}
	}
	return p.err()
}

func subscribeRefuses(ctx context.Context, s EventBusSetup) error {
	var p problems
	ignore := func(context.Context, eventbus.Message) error { return nil }
	for _, c := range []struct {
		topic, group string
		handle       eventbus.Handler
		want         error
	}{
		{newName("no-such-topic"), "group", ignore, eventbus.ErrNoTopic},
		{"", "group", ignore, eventbus.ErrInvalid},
		{s.Topic, "", ignore, eventbus.ErrInvalid},
		{s.Topic, "group", nil, eventbus.ErrInvalid},
	} {
		unsubscribe, err := s.Bus.Subscribe(ctx, c.topic, c.group, c.handle)
		if !errors.Is(err, c.want) {
			p.addf("subscribe to %q in group %q: %v, want %v", c.topic, c.group, err, c.want)
		}
		if unsubscribe != nil {
			_ = unsubscribe(ctx)
		}
	}
	return p.err()
}

func messagesArriveWhole(ctx context.Context, s EventBusSetup) (err error) {
	sent := eventbus.Message{
		Topic: s.Topic, Key: []byte("key"), Value: []byte{0, 1, 0xff},
		Headers: []eventbus.Header{{Key: "a", Value: []byte("1")}, {Key: "b"}, {Key: "a", Value: []byte("2")}},
	}
	written, err := s.send(ctx, sent)
	if err != nil {
		return err
	}
	got, unsubscribe, err := s.subscribe(ctx, newName("whole"))
	defer end(ctx, unsubscribe, &err)
	if err != nil {
		return err
	}
	all, err := got.count(ctx, 1)
	if err != nil {
		return err
	}
	m := all[0]
	headersEqual := slices.EqualFunc(m.Headers, sent.Headers, func(a, b eventbus.Header) bool { return a.Key == b.Key && same(a.Value, b.Value) })
	if m.Topic != s.Topic || !same(m.Key, sent.Key) || !same(m.Value, sent.Value) || !headersEqual ||
		m.Partition != written.Partition || m.Offset != written.Offset {
		return fmt.Errorf("got %+v, want %+v", m, written)
	}
	return nil
}

// partitionsKeepOrder also shows that a new group begins with the oldest message.
func partitionsKeepOrder(ctx context.Context, s EventBusSetup) (err error) {
	const n = 200
	if err := s.publishMany(ctx, 0, n/2); err != nil {
		return err
	}
	got, unsubscribe, err := s.subscribe(ctx, newName("order"))
	defer end(ctx, unsubscribe, &err)
	if err != nil {
		return err
	}
	if err := s.publishMany(ctx, n/2, n/2); err != nil {
		return err
	}
	all, err := got.count(ctx, n)
	if err != nil {
		return err
	}
	return inOrder(all)
}

// inOrder wants rising offsets in each partition, and with them rising values
// of each key.
func inOrder(all []eventbus.Message) error {
	var p problems
	offsets, values := make(map[int32]int64), make(map[string]string)
	for _, m := range all {
		if before, ok := offsets[m.Partition]; ok && m.Offset <= before {
			p.addf("partition %d: offset %d came after %d", m.Partition, m.Offset, before)
		}
		if before := values[string(m.Key)]; string(m.Value) <= before {
			p.addf("key %s: %s came after %s", m.Key, m.Value, before)
		}
		offsets[m.Partition], values[string(m.Key)] = m.Offset, string(m.Value)
	}
	return p.err()
}

func membersSplit(ctx context.Context, s EventBusSetup) (err error) {
	group := newName("split")
	first, endFirst, err := s.subscribe(ctx, group)
	defer end(ctx, endFirst, &err)
	if err != nil {
		return err
	}
	second, endSecond, err := s.subscribe(ctx, group)
	defer end(ctx, endSecond, &err)
	if err != nil {
		return err
	}
	// Partitions move while the members join. When they have settled, each round
	// of messages goes to both members, each message to one, and each partition to
	// the same one every time.
	const settled = 5
	var owners []string
	for round := 0; ; round++ {
		if err := s.publishRound(ctx, round); err != nil {
			return fmt.Errorf("two members of one group have not come to share its partitions; who had the last ones: %v: %w", owners[max(0, len(owners)-settled):], err)
		}
		if err := s.awaitRound(ctx, round, first, second); err != nil {
			return err
		}
		owners = append(owners, "")
		for r := max(0, round-settled+1); r <= round; r++ { // again: what comes twice may come late
			owners[r] = s.ownersOf(r, first, second)
		}
		last := owners[max(0, round-settled+1):]
		if len(last) == settled && len(slices.Compact(slices.Clone(last))) == 1 && isSplit(last[0]) {
			return nil
		}
	}
}

// awaitRound waits until every message of a round was delivered to somebody.
func (s EventBusSetup) awaitRound(ctx context.Context, round int, first, second *collector[eventbus.Message]) error {
	for strings.Contains(s.ownersOf(round, first, second), "-") {
		select {
		case <-first.changed:
		case <-second.changed:
		case <-ctx.Done():
			return fmt.Errorf("not every message of round %d was delivered: %w", round, ctx.Err())
		}
	}
	return nil
}

// ownersOf says who got the messages of a round, a letter for each partition: 1
// for the first member, 2 for the second, + for both, - for nobody.
func (s EventBusSetup) ownersOf(round int, first, second *collector[eventbus.Message]) string {
	owners := bytes.Repeat([]byte("-"), int(s.Partitions))
	for member, c := range map[byte]*collector[eventbus.Message]{'1': first, '2': second} {
		for _, m := range c.all() {
			switch {
			case string(m.Value) != strconv.Itoa(round):
			case owners[m.Partition] == '-':
				owners[m.Partition] = member
			default:
				owners[m.Partition] = '+'
			}
		}
	}
	return string(owners)
}

func isSplit(owners string) bool {
	return strings.Contains(owners, "1") && strings.Contains(owners, "2") && !strings.Contains(owners, "+")
}

func groupsGetEverything(ctx context.Context, s EventBusSetup) (err error) {
	const n = 60
	one, endOne, err := s.subscribe(ctx, newName("one"))
	defer end(ctx, endOne, &err)
	if err != nil {
		return err
	}
	two, endTwo, err := s.subscribe(ctx, newName("two"))
	defer end(ctx, endTwo, &err)
	if err != nil {
		return err
	}
	if err := s.publishMany(ctx, 0, n); err != nil {
		return err
	}
	for _, c := range []*collector[eventbus.Message]{one, two} {
		all, err := c.count(ctx, n)
		if err != nil {
			return err
		}
		if err := inOrder(all); err != nil {
			return err
		}
	}
	return nil
}
