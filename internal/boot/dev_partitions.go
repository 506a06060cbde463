package boot

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/leat-io/leat/internal/boot/ops"
	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/topics"
)

// DevPartitions is how many partitions new types get on a `leat dev`, 0 on any
// other Kafka: a laptop does not want the 32 of production. api is where the
// `leat dev` may answer.
func DevPartitions(ctx context.Context, config kafka.Config, api string) int32 {
	admin, err := kafka.NewAdmin(config)
	if err != nil {
		return 0
	}
	defer admin.Close()
	if cluster, err := admin.Ping(ctx); err != nil || cluster != devkafka.ClusterID {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	if n := askPartitions(ctx, api); n > 0 {
		return n
	}
	return topics.DevPartitions
}

func askPartitions(ctx context.Context, api string) int32 {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/version", http.NoBody)
	if err != nil {
		return 0
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	var found ops.BuildInfo
	if json.NewDecoder(io.LimitReader(resp.Body, 4096)).Decode(&found) != nil {
		return 0
	}
	return int32(found.Partitions) //nolint:gosec // our own small number
}
