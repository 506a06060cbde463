package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// startLimit is for the broker; a pull comes on top.
const startLimit = 2 * time.Minute

type broker struct {
	addr      string
	container testcontainers.Container
}

// start runs image and waits until its broker serves.
//
// The port on the host is chosen before the start and given to the broker as
// its advertised address. So the broker needs no configuration after the start,
// which is where images differ, and the same code serves Apache Kafka and Redpanda.
func start(ctx context.Context, image string) (*broker, error) {
	if image == "" {
		return nil, errors.New("no image: say -image apache/kafka:4.3.1 or a Redpanda image")
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	addr := "localhost:" + port
	opts := []testcontainers.ContainerCustomizer{
		testcontainers.WithLabels(map[string]string{"io.leat.test": "broker"}), // run.sh removes leftovers by it
		testcontainers.WithExposedPorts("9092/tcp"),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			h.PortBindings = network.PortMap{network.MustParsePort("9092/tcp"): {{
				HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: port,
			}}}
		}),
		// An open port proves nothing: Docker's proxy opens it before the broker does.
		testcontainers.WithWaitStrategyAndDeadline(startLimit,
			wait.ForLog("Kafka Server started|Successfully started Redpanda").AsRegexp()),
	}
	if strings.Contains(image, "redpanda") {
		opts = append(opts, testcontainers.WithCmd(redpandaArgs(addr)...))
	} else {
		opts = append(opts, testcontainers.WithEnv(kafkaEnv(addr)))
	}
	c, err := testcontainers.Run(ctx, image, opts...)
	b := &broker{addr: addr, container: c}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", image, err), b.remove())
	}
	return b, nil
}

// remove ends the container and deletes it with its data.
func (b *broker) remove() error {
	if err := testcontainers.TerminateContainer(b.container); err != nil {
		return fmt.Errorf("remove the container: %w", err)
	}
	return nil
}

// kafkaEnv is Apache Kafka's configuration, in the way of the official image:
// KAFKA_A_B is the property a.b.
//
// INTERNAL is there for transactions: the broker then calls itself, and under
// its advertised address it does not exist inside the container. With one
// listener topics can be made, but the first transactional produce hangs.
func kafkaEnv(addr string) map[string]string {
	return map[string]string{
		"KAFKA_NODE_ID":                        "1",
		"KAFKA_PROCESS_ROLES":                  "broker,controller",
		"KAFKA_LISTENERS":                      "PLAINTEXT://:9092,INTERNAL://:9094,CONTROLLER://:9093",
		"KAFKA_ADVERTISED_LISTENERS":           "PLAINTEXT://" + addr + ",INTERNAL://localhost:9094",
		"KAFKA_INTER_BROKER_LISTENER_NAME":     "INTERNAL",
		"KAFKA_CONTROLLER_LISTENER_NAMES":      "CONTROLLER",
		"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT",
		"KAFKA_CONTROLLER_QUORUM_VOTERS":       "1@localhost:9093",
		"KAFKA_AUTO_CREATE_TOPICS_ENABLE":      "false",

		"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR":         "1",
		"KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS":             "4",
		"KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS":     "4",
		"KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
		"KAFKA_TRANSACTION_STATE_LOG_MIN_ISR":            "1",
		"KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS":         "0",
	}
}

// redpandaArgs replaces the image's command.
func redpandaArgs(addr string) []string {
	return []string{
		"redpanda", "start", "--mode=dev-container", "--smp=1", "--memory=1G",
		"--kafka-addr=internal://0.0.0.0:9094,external://0.0.0.0:9092",
		"--advertise-kafka-addr=internal://localhost:9094,external://" + addr,
	}
}

func freePort(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), l.Close()
}
