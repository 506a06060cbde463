package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/boot/explain"
	"github.com/leat-io/leat/internal/devkafka"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/router"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/client"
	"github.com/leat-io/leat/pkg/topics"
)

func TestADefinitionThatDoesNotValidateIsRefusedWithItsPlace(t *testing.T) {
	each(t, func(w *world) {
		broken := strings.Replace(door, "shut: closed", "shut: cloesd", 1)
		_, err := w.direct.Deploy(w.ctx, client.DeployRequest{Name: "door.yaml", Source: []byte(broken), Partitions: partitions})
		if !errors.Is(err, client.ErrDefinition) {
			w.Fatalf("got %v", err)
		}
		w.says(err, "door.yaml:11:13: error:", "cloesd", "closed")

		// Another program may write it past us: the types beside it are served.
		w.deploy(door)
		w.publish("broken", 1, partitions, strings.ReplaceAll(broken, "type: door", "type: broken"))
		w.router("r1")
		w.do(client.StartRequest{Type: "door", Key: "k"})
		w.audit()
	})
}

func TestADeployedVersionNeverChanges(t *testing.T) {
	each(t, func(w *world) {
		w.deploy(door)
		w.deploy(door) // the same again is fine
		changed := strings.Replace(door, "n + 1", "n + 2", 1)
		_, err := w.direct.Deploy(w.ctx, client.DeployRequest{Name: "door.yaml", Source: []byte(changed)})
		if !errors.Is(err, client.ErrDeployed) {
			w.Fatalf("got %v", err)
		}
		w.says(err, "door version 1")
	})
}

// A topic of the wrong shape is named, with what was found, what is wanted and
// the fix; by the deployer, and by a router that finds it.
func TestTopicsOfTheWrongShapeAreNamed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*topics.Spec)
		topic  func(topics.Names) string
		words  []string
	}{
		"partitions": {
			func(s *topics.Spec) { s.Partitions = 3 }, func(n topics.Names) string { return n.Commands("door") },
			[]string{"partitions 3, want 4", "fix:"},
		},
		"cleanup": {
			func(s *topics.Spec) { s.Cleanup = topics.Compact }, func(n topics.Names) string { return n.Events("door") },
			[]string{"cleanup.policy compact, want delete", "fix:", "kafka-configs.sh"},
		},
		"retention": {
			func(s *topics.Spec) { s.Retention = 1e9 }, func(n topics.Names) string { return n.Events("door") },
			[]string{"retention.ms 1000, want -1", "fix:"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(w *world) {
				specs := w.names.Type("door", partitions)
				for i := range specs {
					if specs[i].Name == tt.topic(w.names) {
						tt.change(&specs[i])
					}
				}
				w.provision(append(specs, w.names.Shared()...)...)
				words := append([]string{tt.topic(w.names)}, tt.words...)

				_, err := w.direct.Deploy(w.ctx, client.DeployRequest{Name: "door.yaml", Source: []byte(door), Partitions: partitions})
				if !errors.Is(err, client.ErrTopic) {
					w.Errorf("deploy: %v", err)
				}
				w.says(err, words...)

				w.publish("door", 1, partitions, door)
				err = w.fails(router.Config{Slot: "r1"})
				if _, ok := errors.AsType[*kafka.TopicError](err); !ok {
					w.Errorf("router: %v", err)
				}
				w.says(err, words...)
				if p := explain.Error("router cannot run", err); p.Code != problem.TopicShape || p.Fix == "" {
					w.Errorf("got %+v", p)
				}
			})
		})
	}
}

// fails runs a router that cannot run.
func (w *world) fails(c router.Config) error {
	w.Helper()
	c.Kafka, c.Names, c.Logger = w.kafka, w.names, w.logger
	r, err := router.New(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	return r.Run(ctx)
}

func TestADataDirectoryThatAnotherProcessHolds(t *testing.T) {
	each(t, func(w *world) {
		dir := w.TempDir()
		hold(w.T, dir)
		err := w.fails(router.Config{Slot: "r1", Dir: dir + "/router"})
		if !errors.Is(err, store.ErrLocked) {
			w.Errorf("got %v", err)
		}
		w.explained(err, problem.DirectoryLocked, "in use by another process", dir)

		_, err = devkafka.Start(devkafka.Options{Dir: dir + "/kafka"})
		if !errors.Is(err, devkafka.ErrLocked) {
			w.Errorf("got %v", err)
		}
		w.explained(err, problem.DirectoryLocked, "another process holds")
	})
}

func (w *world) explained(err error, code problem.Code, words ...string) {
	w.Helper()
	w.says(err, words...)
	p := explain.Error("leat dev cannot start", err)
	if p.Code != code || p.Fix == "" {
		w.Errorf("explained as %+v, want code %s and a fix", p, code)
	}
	var text strings.Builder
	p.WriteText(&text, false)
	w.Logf("what a user sees:\n%s", text.String())
}

const holdEnv = "LEAT_TEST_HOLD"

// hold has another process open the directories below dir until the test ends.
func hold(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHoldADirectory$")
	cmd.Env = append(os.Environ(), holdEnv+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "held" {
		t.Fatalf("the other process says %q, %v", lines.Text(), lines.Err())
	}
	t.Cleanup(func() {
		in.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the other process: %v", err)
		}
	})
}

// TestHoldADirectory is the other process.
func TestHoldADirectory(t *testing.T) {
	dir := os.Getenv(holdEnv)
	if dir == "" {
		t.Skip("is the helper of another test")
	}
	db, err := store.Open(store.Options{Dir: dir + "/router", Layout: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	b, err := devkafka.Start(devkafka.Options{Dir: dir + "/kafka"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func TestADataDirectoryOfANewerVersion(t *testing.T) {
	each(t, func(w *world) {
		dir := w.TempDir()
		db, err := store.Open(store.Options{Dir: dir, Layout: 999})
		if err != nil {
			w.Fatal(err)
		}
		if err := db.Close(); err != nil {
			w.Fatal(err)
		}
		err = w.fails(router.Config{Slot: "r1", Dir: dir})
		if _, ok := errors.AsType[*store.VersionError](err); !ok {
			w.Errorf("got %v", err)
		}
		w.explained(err, problem.DirectoryNewer, dir, "layout 999", "run the newer version")

		dir = w.TempDir()
		if err := os.WriteFile(dir+"/broker.json", []byte(`{"format":999}`), 0o600); err != nil {
			w.Fatal(err)
		}
		_, err = devkafka.Start(devkafka.Options{Dir: dir})
		if _, ok := errors.AsType[*devkafka.VersionError](err); !ok {
			w.Errorf("got %v", err)
		}
		w.explained(err, problem.DirectoryNewer, dir, "format 999")
	})
}
