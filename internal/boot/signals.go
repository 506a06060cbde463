package boot

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/leat-io/leat/internal/executor"
)

// Programs is what the executors of this process run.
type Programs = executor.Programs

// Signals gives a context that ends with the first SIGINT or SIGTERM. The
// second one ends the process at once, and the programs that it runs. stop gives
// the signals back.
func Signals(parent context.Context, programs *Programs) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range ch {
			if ctx.Err() != nil {
				programs.Kill()
				os.Exit(130)
			}
			cancel()
		}
	}()
	return ctx, func() {
		signal.Stop(ch)
		close(ch)
		<-done
		cancel()
	}
}
