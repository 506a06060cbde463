package integration

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/topics"
	kafkatest "github.com/leat-io/leat/test/kafka"
)

// A transaction whose end its broker forgot is ended by the router's mender, as
// the coordinator decided it; one that is under way is left alone. The broker is
// told not to ask whether a transaction is open, so that a record can join one
// that has ended: the same picture as after lost markers.
func TestTransactionsThatKafkaForgotAreEnded(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the real broker takes seconds to start")
	}
	needJava(t)
	broker, err := kafkatest.Start(t.Context(), kafkatest.Options{
		Properties: map[string]string{"transaction.partition.verification.enable": "false"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := kafka.Config{Brokers: []string{broker.Addr()}}
	admin, err := kafka.NewAdmin(c)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for _, name := range []string{"m.first", "m.second", "other"} {
		if err := admin.Provision(ctx, -1, topics.Spec{Name: name, Partitions: 1, Cleanup: topics.Delete, Retention: topics.Forever}); err != nil {
			t.Fatal(err)
		}
	}
	var outcomes kafka.Outcomes
	mender := kafka.NewMender(admin, &outcomes, "m.", "mine")
	look := func() []kafka.Mended {
		t.Helper()
		mended, err := mender.Look(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return mended
	}
	raw, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...), kgo.TransactionalID("mine"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	id, epoch, err := raw.ProducerID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := raw.ProduceSync(ctx, &kgo.Record{Topic: "m.first", Value: []byte("committed")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	// Older produce requests join no transaction by themselves.
	old, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...), kgo.MaxVersions(kversion.V3_8_0()))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	join(ctx, t, old, "m.second", id, epoch)
	// Under way: nobody may end it, however often somebody looks.
	for range 3 {
		if mended := look(); len(mended) > 0 {
			t.Fatalf("ended %+v, which is under way", mended)
		}
	}
	if err := raw.EndTransaction(ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	// The coordinator is done with it, and m.second is not.
	owner, err := kafka.NewTransactor(ctx, c, "mine", kafka.TransactorConfig{Outcomes: &outcomes})
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	var mended []kafka.Mended
	for len(mended) == 0 && ctx.Err() == nil {
		mended = look()
	}
	if len(mended) != 1 || !mended[0].Committed || mended[0].TransactionalID != "mine" || len(mended[0].Partitions) != 1 || mended[0].Partitions[0].Topic != "m.second" {
		t.Fatalf("ended %+v", mended)
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers...), kgo.ConsumeTopics("m.second"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if records := reader.PollFetches(ctx).Records(); len(records) != 1 || string(records[0].Value) != "late" {
		t.Errorf("read %d records", len(records))
	}
	if mended := look(); len(mended) > 0 {
		t.Errorf("ended %+v once more", mended)
	}
}

// join writes one record of the transaction, past the client.
func join(ctx context.Context, t *testing.T, client *kgo.Client, topic string, id int64, epoch int16) {
	t.Helper()
	const value = "late"
	body := []byte{0, 0, 0, 1} // attributes, timestamp delta, offset delta, no key (varint -1)
	body = binary.AppendVarint(body, int64(len(value)))
	body = append(append(body, value...), 0) // no headers
	now := time.Now().UnixMilli()
	batch := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, Attributes: 1 << 4, FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: id, ProducerEpoch: epoch, NumRecords: 1, Records: append(binary.AppendVarint(nil, int64(len(body))), body...),
	}
	const behindLength, behindCRC = 8 + 4, 8 + 4 + 4 + 1 + 4
	wire := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(wire[8:], uint32(len(wire)-behindLength))
	binary.BigEndian.PutUint32(wire[behindCRC-4:], crc32.Checksum(wire[behindCRC:], crc32.MakeTable(crc32.Castagnoli)))
	req := kmsg.NewPtrProduceRequest()
	transaction := "mine"
	req.TransactionID, req.Acks, req.TimeoutMillis = &transaction, -1, 5000
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = wire
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.Partitions = topic, append(rt.Partitions, part)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("write into the transaction: %v", err)
	}
}
