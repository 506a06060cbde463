package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// A broker that has gone does not answer, although it has answered before.
func TestPingAsksTheBroker(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	admin, err := NewAdmin(Config{Brokers: cluster.ListenAddrs()})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for range 2 {
		if id, err := admin.Ping(t.Context()); err != nil || id == "" {
			t.Fatalf("the cluster is %q, %v", id, err)
		}
	}
	cluster.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if id, err := admin.Ping(ctx); err == nil {
		t.Errorf("a broker that is gone answers %q", id)
	}
}
