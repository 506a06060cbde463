//go:build unix

package workers

import (
	"encoding/json"
	"strings"
	"testing"

	kafkatest "github.com/leat-io/leat/test/kafka"
)

// engine is where workers and clients find what runs.
type engine struct {
	api, gateway, brokers string
	token                 string
}

// env tells programs where that is, as the examples read it.
func (e engine) env() []string {
	return []string{"LEAT_API=" + e.api, "LEAT_GATEWAY=" + e.gateway, "KAFKA_BROKERS=" + e.brokers, "LEAT_TOKEN=" + e.token, "NO_PROXY=*"}
}

// engines are what every worker has to run with.
var engines = map[string]func(*testing.T) engine{"dev": dev, "kafka": onKafka}

// dev is everything in one process.
func dev(t *testing.T) engine {
	t.Helper()
	p := start(t, nil, bin(t, "leat"), "dev", "--memory", "--http", "127.0.0.1:0", "--workers", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "-o", "json")
	p.until(`"ready_ms"`)
	var ready struct{ API, Workers, Kafka string }
	if err := json.Unmarshal([]byte(p.out.String()[:strings.LastIndex(p.out.String(), "}")+1]), &ready); err != nil {
		t.Fatalf("%v in %s", err, p.out.String())
	}
	return engine{api: ready.API, gateway: ready.Workers, brokers: ready.Kafka}
}

// onKafka is a process for each part, and a token.
func onKafka(t *testing.T) engine {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: real processes on a real Kafka take a while")
	}
	e := engine{brokers: strings.Join(kafkatest.Brokers(t), ","), token: "open sesame"}
	flags := []string{"--brokers", e.brokers, "--ops-addr", "127.0.0.1:0", "--log-format", "text"}
	begin := func(name string, more ...string) *program {
		return start(t, []string{"LEAT_GATEWAY_TOKEN=" + e.token}, append(append([]string{bin(t, name)}, flags...), more...)...)
	}
	begin("router", "--slot", "workers", "--data", t.TempDir(), "--prefix", "")
	e.api = first(begin("projector", "--http", "127.0.0.1:0", "--data", t.TempDir()).until("serving queries\" role=projector url="))
	e.gateway = first(begin("executor", "--http", "127.0.0.1:0").until("serving workers\" role=executor url="))
	return e
}

// first is the first word.
func first(line string) string {
	word, _, _ := strings.Cut(line, " ")
	return word
}
