package topics_test

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/leat-io/leat/pkg/events"
	"github.com/leat-io/leat/pkg/topics"
)

// The hashes of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
func TestPartitionIsThatOfTheJavaClient(t *testing.T) {
	for key, hash := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		positive := hash & math.MaxInt32
		for _, n := range []int32{1, 8, 32, 50, math.MaxInt32} {
			if got := topics.Partition([]byte(key), n); got != positive%n {
				t.Errorf("%s of %d: got %d, want %d", key, n, got, positive%n)
			}
		}
	}
}

func TestPartitionIsThatOfFranzGo(t *testing.T) {
	franz := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	for i := range 1000 {
		key := []byte(events.DeriveUUID(events.Namespace, strconv.Itoa(i)).String())
		if got, want := topics.Partition(key, 32), franz.Partition(&kgo.Record{Key: key}, 32); int(got) != want {
			t.Fatalf("%s: got %d, want %d", key, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) { // keys of every length, every byte
		key := rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "key")
		n := rapid.Int32Range(1, 1000).Draw(t, "n")
		if got, want := topics.Partition(key, n), franz.Partition(&kgo.Record{Key: key}, int(n)); int(got) != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	})
}

// Ids are spread evenly: no partition of 32 has less than half or more than
// double its share of 32,000.
func TestPartitionsAreFilledEvenly(t *testing.T) {
	var counts [32]int
	for i := range 32_000 {
		id := events.InstanceIDForKey("order", fmt.Sprintf("order-%d", i))
		counts[topics.Partition([]byte(id.String()), 32)]++
	}
	for p, n := range counts {
		if n < 500 || n > 2000 {
			t.Errorf("partition %d has %d", p, n)
		}
	}
}

func ExamplePartition() {
	id := events.InstanceIDForKey("order", "order-42")
	fmt.Println(topics.Partition([]byte(id.String()), topics.DefaultPartitions))
	// Output: 23
}
