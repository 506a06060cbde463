package kafka

import (
	"context"
	"maps"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The client asks for the offsets of what was revoked while it asked before: a
// member must not take these partitions, they are another's.
func TestOnlyWhatIsOwnedIsAssigned(t *testing.T) {
	var got map[TopicPartition]int64
	m := &Member{
		config: MemberConfig{Assigned: func(a map[TopicPartition]int64) { got = a }},
		owned:  make(map[TopicPartition]bool),
	}
	old, kept := TopicPartition{"old", 1}, TopicPartition{"new", 2}
	m.own([]TopicPartition{old})
	m.disown([]TopicPartition{old})
	m.own([]TopicPartition{kept})
	offsets := map[string]map[int32]kgo.Offset{"old": {1: kgo.NewOffset().At(7)}, "new": {2: kgo.NewOffset().At(9)}}
	if _, err := m.tellAssigned(context.Background(), offsets); err != nil {
		t.Fatal(err)
	}
	if want := (map[TopicPartition]int64{kept: 9}); !maps.Equal(got, want) {
		t.Errorf("assigned %v, want %v", got, want)
	}
}
