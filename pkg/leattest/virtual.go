package leattest

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leat-io/leat/internal/devkafka"
)

// Virtual runs f with an engine of its own in virtual time, which begins at
// midnight UTC on 2000-01-01. All of the test's time is virtual: time.Now,
// time.Sleep, the deadlines of contexts, the timers of workflows, what handlers
// wait for. It goes on when every goroutine of the test and of the engine waits,
// and then at once to the next moment at which one has something to do. Events
// come in the same order and at the same moments, to some milliseconds, in every
// run; what happens at one moment, such as the tasks of parallel states, comes in
// any order.
//
// f must not wait for what is outside: for a server that was started before, or a
// channel that was made before. A goroutine that waits for a lock or for the
// network of this machine keeps time from going on, as testing/synctest says.
// Goroutines that f starts must end before it returns.
func Virtual(t *testing.T, f func(t *testing.T, env *Env)) {
	t.Helper()
	network := make(chan *devkafka.Network, 1)
	defer watch(t.Name(), network)()
	synctest.Test(t, func(t *testing.T) {
		n := new(devkafka.Network)
		network <- n
		env := start(t, n)
		stop := env.bound()
		defer stop()
		f(t, env)
	})
}

// standstill is how long, in real time, nothing has happened when the test is said
// to stand still.
const standstill = 20 * time.Second

// watch says on standard error when virtual time is stuck, which a test cannot
// say for itself. It does not end the test: that is what go test -timeout is for.
func watch(name string, networks <-chan *devkafka.Network) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(standstill)
		defer ticker.Stop()
		var network *devkafka.Network
		seen := int64(-1)
		for {
			select {
			case <-done:
				return
			case network = <-networks:
				networks = nil
				continue
			case <-ticker.C:
			}
			if network == nil {
				continue
			}
			if now := network.Asked(); now != seen {
				seen = now
				continue
			}
			fmt.Fprintf(os.Stderr, "leattest: %s: virtual time has not moved for %s: a goroutine of the test works, or waits for something that "+
				"testing/synctest does not count as waiting: a sync.Mutex, the network, a file, a channel from outside. "+
				"These are all goroutines; those of the test have \"synctest bubble\" and no \"durable\":\n%s\n", name, standstill, stacks())
			return
		}
	}()
	return func() { close(done); <-ended }
}

func stacks() string {
	all := make([]byte, 8<<20)
	return string(all[:runtime.Stack(all, true)])
}
