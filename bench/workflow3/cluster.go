package workflow3

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// cluster is what the benchmark asks of the broker besides what it measures.
type cluster struct {
	client *kgo.Client
	admin  *kadm.Client
	prefix string
}

func newCluster(brokers []string, prefix string) (*cluster, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	return &cluster{client: client, admin: kadm.NewClient(client), prefix: prefix}, nil
}

// size is how many bytes the broker's logs of some topics hold.
func (c *cluster) size(ctx context.Context, topics []string) (int64, error) {
	dirs, err := c.admin.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("ask for the size of the logs: %w", err)
	}
	var total int64
	dirs.Each(func(d kadm.DescribedLogDir) {
		for _, t := range topics {
			for _, p := range d.Topics[t] {
				total += p.Size
			}
		}
	})
	return total, nil
}

// close removes the run's topics, which on a broker of somebody else's matters.
func (c *cluster) close() error {
	defer c.client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	found, err := c.admin.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	var mine []string
	for _, name := range found.Names() {
		if strings.HasPrefix(name, c.prefix) {
			mine = append(mine, name)
		}
	}
	if _, err := c.admin.DeleteTopics(ctx, mine...); err != nil {
		return fmt.Errorf("delete the benchmark's topics: %w", err)
	}
	return nil
}
