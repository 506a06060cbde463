package devkafka

import (
	"encoding/binary"
	"errors"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	corruptMessage = 2  // the error code
	counted        = 57 // where a batch says how many records it has
	// maxCount bounds what a packed batch may say: it is believed.
	maxCount = 1 << 17
)

// refuseCorrupt answers batches as Apache Kafka does whose count is not that of
// their records. kfake believes the count: one below zero takes the log back, one
// too high has readers make room for it, and records without content can be read
// by nobody and are never passed.
func refuseCorrupt(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		produce, ok := req.(*kmsg.ProduceRequest)
		if !ok || sound(produce) {
			return nil, nil, false
		}
		c.KeepControl()
		if produce.Acks == 0 {
			return nil, errors.New("batch is corrupt"), true
		}
		return corrupt(produce), nil, true
	})
}

func sound(req *kmsg.ProduceRequest) bool {
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			if !soundBatch(p.Records) {
				return false
			}
		}
	}
	return true
}

// soundBatch compares the count of a batch with its records. What is packed is
// unpacked by readers, which have bounds for it.
func soundBatch(batch []byte) bool {
	if len(batch) < batchHeader {
		return true // kfake says what is wrong with it
	}
	said := int32(binary.BigEndian.Uint32(batch[counted:])) //nolint:gosec // it is signed on the wire
	if said <= 0 || said > maxCount {
		return false
	}
	if attributes(batch)&7 != 0 {
		return true
	}
	rest := batch[batchHeader:]
	for ; said > 0; said-- {
		size, n := binary.Varint(rest)
		if n <= 0 || size < 0 || size > int64(len(rest)-n) {
			return false
		}
		rest = rest[n+int(size):]
	}
	return len(rest) == 0
}

func corrupt(req *kmsg.ProduceRequest) kmsg.Response {
	resp, ok := req.ResponseKind().(*kmsg.ProduceResponse)
	if !ok {
		return nil
	}
	for _, t := range req.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			partition := kmsg.NewProduceResponseTopicPartition()
			partition.Partition, partition.ErrorCode = p.Partition, corruptMessage
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
