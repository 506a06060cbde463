package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/leat-io/leat/pkg/topics"
)

type (
	offsetCommitRequest  = kmsg.OffsetCommitRequest
	offsetCommitResponse = kmsg.OffsetCommitResponse
)

func commitError(resp *offsetCommitResponse, err error) error {
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, err)
			}
		}
	}
	return nil
}

// TopicError says that a topic is not what pkg/topics wants it to be.
type TopicError struct {
	Topic, Setting, Found, Wanted, Fix string
}

// Error names topic, setting, what was found, what is wanted and the fix.
func (e *TopicError) Error() string {
	return fmt.Sprintf("topic %q has %s %s, want %s; fix: %s", e.Topic, e.Setting, e.Found, e.Wanted, e.Fix)
}

// Admin creates and verifies topics. Safe for concurrent use.
type Admin struct {
	client *kgo.Client
	admin  *kadm.Client
}

// NewAdmin makes an admin.
func NewAdmin(c Config) (*Admin, error) {
	client, err := c.newClient(fastRetry(), kgo.MetadataMinAge(10*time.Millisecond), kgo.MetadataMaxAge(time.Minute))
	if err != nil {
		return nil, err
	}
	return &Admin{client: client, admin: kadm.NewClient(client)}, nil
}

// Provision is [Admin.Provision] for those who need an Admin for nothing else.
func Provision(ctx context.Context, c Config, rf int16, specs ...topics.Spec) error {
	a, err := NewAdmin(c)
	if err != nil {
		return err
	}
	defer a.Close()
	return a.Provision(ctx, rf, specs...)
}

// Provision creates the topics that are missing, with replication factor rf
// (-1 for the broker's default), and verifies those that are there. It changes
// no topic. All mismatches are reported together, as *TopicError.
func (a *Admin) Provision(ctx context.Context, rf int16, specs ...topics.Spec) error {
	var errs []error
	var existing []topics.Spec
	for _, s := range specs {
		config := make(map[string]*string)
		for k, v := range s.Config() {
			config[k] = new(v)
		}
		_, err := a.admin.CreateTopic(ctx, s.Partitions, rf, config, s.Name)
		switch {
		case errors.Is(err, kerr.TopicAlreadyExists):
			existing = append(existing, s)
		case err != nil:
			errs = append(errs, fmt.Errorf("create topic %q: %w", s.Name, err))
		}
	}
	if len(errs) == 0 {
		if err := a.awaitVisible(ctx, specs); err != nil {
			return err
		}
	}
	return errors.Join(append(errs, a.Verify(ctx, existing...))...)
}

// awaitVisible waits until a broker knows the topics that the controller has
// made, which on KRaft takes a moment; otherwise the next to use them is told
// that they do not exist.
func (a *Admin) awaitVisible(ctx context.Context, specs []topics.Spec) error {
	if len(specs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	for ctx.Err() == nil {
		details, err := a.admin.ListTopics(ctx, names...)
		if err != nil {
			return fmt.Errorf("list topics: %w", err)
		}
		hidden := false
		for _, name := range names {
			hidden = hidden || errors.Is(details[name].Err, kerr.UnknownTopicOrPartition)
		}
		if !hidden {
			return nil
		}
		Pause(ctx, staleMetadata)
	}
	return fmt.Errorf("wait for topics to appear: %w", ctx.Err())
}

// Verify compares topics with their specs. A missing topic is a mismatch.
func (a *Admin) Verify(ctx context.Context, specs ...topics.Spec) error {
	if len(specs) == 0 {
		return nil
	}
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	details, err := a.admin.ListTopics(ctx, names...)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	configs, err := a.admin.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return fmt.Errorf("read topic configurations: %w", err)
	}
	var errs []error
	for _, s := range specs {
		errs = append(errs, verify(s, details[s.Name], configs)...)
	}
	return errors.Join(errs...)
}

func verify(s topics.Spec, found kadm.TopicDetail, configs kadm.ResourceConfigs) []error {
	if found.Err != nil {
		return []error{fmt.Errorf("topic %q: %w", s.Name, found.Err)}
	}
	var errs []error
	if n := len(found.Partitions); n != int(s.Partitions) {
		errs = append(errs, &TopicError{
			Topic: s.Name, Setting: "partitions", Found: strconv.Itoa(n), Wanted: strconv.Itoa(int(s.Partitions)),
			Fix: "deploy with the topic's own count (--partitions), or delete the topic if it holds nothing; the count of a used topic never changes, because routing depends on it",
		})
	}
	config, err := configs.On(s.Name, nil)
	if err != nil || config.Err != nil {
		return append(errs, fmt.Errorf("read configuration of topic %q: %w", s.Name, errors.Join(err, config.Err)))
	}
	want := s.Config()
	for _, name := range s.Verified() {
		got := "unset"
		for _, c := range config.Configs {
			if c.Key == name {
				got = c.MaybeValue()
			}
		}
		if got != want[name] {
			errs = append(errs, &TopicError{
				Topic: s.Name, Setting: name, Found: got, Wanted: want[name],
				Fix: fmt.Sprintf("kafka-configs.sh --alter --entity-type topics --entity-name %s --add-config %s=%s", s.Name, name, want[name]),
			})
		}
	}
	return errs
}

// Partitions is the partition count of a topic, 0 when there is no such topic.
func (a *Admin) Partitions(ctx context.Context, topic string) (int32, error) {
	details, err := a.admin.ListTopics(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("list topic %q: %w", topic, err)
	}
	d := details[topic]
	if errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
		return 0, nil
	}
	if d.Err != nil {
		return 0, fmt.Errorf("list topic %q: %w", topic, d.Err)
	}
	return int32(len(d.Partitions)), nil //nolint:gosec // partition counts are small
}

// Missing lists those of the topics that do not exist.
func (a *Admin) Missing(ctx context.Context, names ...string) (missing []string, err error) {
	details, err := a.admin.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	for _, name := range names {
		if errors.Is(details[name].Err, kerr.UnknownTopicOrPartition) {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

// Ping asks for the cluster's id, and so whether a broker is there. It asks each
// time: kadm's own question is answered from memory once it was answered.
func (a *Admin) Ping(ctx context.Context) (clusterID string, err error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // none, where nil is all
	meta, err := req.RequestWith(ctx, a.client)
	if err != nil {
		return "", fmt.Errorf("reach kafka at %s: %w", strings.Join(a.seeds(), ","), err)
	}
	if meta.ClusterID == nil {
		return "", nil
	}
	return *meta.ClusterID, nil
}

func (a *Admin) seeds() []string {
	seeds, _ := a.client.OptValue(kgo.SeedBrokers).([]string)
	return seeds
}

// Close ends the admin.
func (a *Admin) Close() { closeWithin(a.client.Close) }

// Replicas is the replication factor to create topics with: the broker's own
// default unless one is asked for.
func Replicas(wanted int16) int16 {
	if wanted <= 0 {
		return -1
	}
	return wanted
}

// ProvisionQueues creates the topics of the queues that tasks are on. A queue
// may be shared by workflow types, so one that exists keeps its partition count.
func (a *Admin) ProvisionQueues(ctx context.Context, rf int16, names topics.Names, tasks []string, partitions int32) error {
	done := make(map[string]bool)
	for _, task := range tasks {
		queue := topics.QueueOf(task)
		if done[queue] {
			continue
		}
		done[queue] = true
		n, err := a.Partitions(ctx, names.Tasks(queue))
		if err != nil {
			return err
		}
		if n == 0 {
			n = partitions
		}
		if err := a.Provision(ctx, rf, names.Queue(queue, n)...); err != nil {
			return err
		}
	}
	return nil
}
