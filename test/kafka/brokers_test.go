package kafkatest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The same promise for every kind of broker that the environment can name.
func TestBrokersServeTransactions(t *testing.T) {
	seeds := Brokers(t)
	if again := Brokers(t); !slices.Equal(seeds, again) {
		t.Fatalf("Brokers answered %v, then %v: a second broker was started", seeds, again)
	}
	topic := "kafkatest-" + strings.ToLower(t.Name())
	createTopic(t.Context(), t, seeds, topic)
	transact(t.Context(), t, seeds, topic, "aborted", kgo.TryAbort)
	transact(t.Context(), t, seeds, topic, "committed", kgo.TryCommit)
	if got := committed(t.Context(), t, seeds, topic, 1); got[0] != "committed" {
		t.Errorf("read %q, want committed", got)
	}
}

func TestChooseTakesRunningBrokers(t *testing.T) {
	t.Setenv(BrokersEnv, "a:1,b:2")
	c, err := Choose(t.Context())
	if err != nil || !slices.Equal(c.Seeds, []string{"a:1", "b:2"}) {
		t.Errorf("Choose = %+v, %v", c, err)
	}
}

func TestChooseSaysWhatToInstall(t *testing.T) {
	t.Setenv(BrokersEnv, "")
	t.Setenv(ImageEnv, "")
	t.Setenv("PATH", t.TempDir()) // neither docker nor java
	_, err := Choose(context.Background())
	if !errors.Is(err, ErrNone) {
		t.Fatalf("error %v does not wrap ErrNone", err)
	}
	for _, want := range []string{BrokersEnv, ImageEnv, "Java 17", "docker", "java"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %s: %v", want, err)
		}
	}
}
