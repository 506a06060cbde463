package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// The environment decides which broker tests meet.
const (
	// BrokersEnv names brokers that already run: host:port,...
	BrokersEnv = "TEST_BROKERS"
	// ImageEnv names a container image, of Apache Kafka or of Redpanda. When it is
	// set, that image it is: whatever goes wrong with it fails the test.
	ImageEnv = "TEST_BROKER_IMAGE"
	// RequireEnv set to 1 turns "no broker, so skip" into a failure. CI sets it,
	// so that a missing broker cannot look like a green run.
	RequireEnv = "LEAT_REQUIRE_KAFKA"
)

// DefaultImage is tried where Docker answers and nothing else is asked for.
const DefaultImage = "redpandadata/redpanda:v25.2.4"

// ErrNone means that this machine can have no broker. The error that wraps it
// says what was tried and what to set or install.
var ErrNone = errors.New("no broker")

// Choice is a broker that tests can use.
type Choice struct {
	Name  string   // for people: what runs, and where
	Seeds []string // host:port
	close func()
}

// Close stops what Choose started.
func (c *Choice) Close() {
	if c.close != nil {
		c.close()
	}
}

// Choose returns the first of: the brokers of TEST_BROKERS; a container of
// TEST_BROKER_IMAGE, or of Redpanda when that is not set and Docker has the
// image or gets it quickly; Apache Kafka from its jars. The error wraps ErrNone
// when there is none of them, and does not when one of them is there but ill:
// to skip then would hide it.
func Choose(ctx context.Context) (*Choice, error) {
	if s := os.Getenv(BrokersEnv); s != "" {
		return &Choice{Name: BrokersEnv + "=" + s, Seeds: strings.Split(s, ",")}, nil
	}
	if image := os.Getenv(ImageEnv); image != "" {
		return startContainer(ctx, image)
	}
	noContainer := checkDocker(ctx, DefaultImage)
	if noContainer == nil {
		return startContainer(ctx, DefaultImage)
	}
	noJars := checkJars(ctx)
	if noJars == nil {
		return startJars(ctx)
	}
	return nil, fmt.Errorf("%w: set %s=host:port,... or %s=apache/kafka:%s, or install Java %d and Maven "+
		"(container: %w; Apache Kafka from jars: %w)",
		ErrNone, BrokersEnv, ImageEnv, Version, minJava, noContainer, noJars)
}

func checkJars(ctx context.Context) error {
	if err := checkJava(ctx); err != nil {
		return err
	}
	_, err := Jars(ctx)
	return err
}

func startJars(ctx context.Context) (*Choice, error) {
	began := time.Now()
	b, err := Start(ctx, Options{})
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("Apache Kafka %s from jars on %s, ready in %v",
		Version, b.Addr(), time.Since(began).Round(time.Millisecond))
	return &Choice{Name: name, Seeds: []string{b.Addr()}, close: b.Close}, nil
}

// checkDocker asks the docker command rather than guess at sockets: contexts,
// remote engines and rootless ones are its business.
func checkDocker(ctx context.Context, image string) error {
	docker := func(limit time.Duration, args ...string) error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("docker %s: %w: %s", args[0], err, tail(out, 200))
		}
		return nil
	}
	if err := docker(5*time.Second, "info"); err != nil {
		return err
	}
	if docker(5*time.Second, "image", "inspect", image) == nil {
		return nil
	}
	return docker(time.Minute, "pull", "-q", image)
}

// shared is the broker of this test binary, when Main runs it.
var shared struct {
	sync.Mutex
	on     bool
	choice *Choice
	err    error
}

// Main runs a package's tests and then stops the broker that they shared. The
// broker starts when the first test asks for it, and not at all when none does.
//
//	func TestMain(m *testing.M) { os.Exit(kafkatest.Main(m)) }
func Main(m *testing.M) int {
	shared.on = true
	defer func() {
		if shared.choice != nil {
			shared.choice.Close()
		}
	}()
	return m.Run()
}

// Brokers returns the seed brokers of a real broker, the same for all tests of
// a package whose TestMain calls Main, else one that lives as long as this test.
// Where there is none it skips the test, or fails it with LEAT_REQUIRE_KAFKA=1.
func Brokers(tb testing.TB) []string {
	tb.Helper()
	choice, err := chooseFor(tb)
	switch {
	case err == nil:
		tb.Logf("broker: %s", choice.Name)
		return choice.Seeds
	case errors.Is(err, ErrNone) && os.Getenv(RequireEnv) != "1":
		tb.Skip(err)
	default:
		tb.Fatal(err)
	}
	return nil
}

func chooseFor(tb testing.TB) (*Choice, error) {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.on {
		choice, err := Choose(tb.Context())
		if err == nil {
			tb.Cleanup(choice.Close)
		}
		return choice, err
	}
	if shared.choice == nil && shared.err == nil {
		// Not the test's context: that ends with the first test.
		shared.choice, shared.err = Choose(context.Background())
	}
	return shared.choice, shared.err
}
