package def

import (
	"context"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/executor"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/topics"
)

// executorsWithin is how long executors that wait for a queue's topic get to
// join after the deploy that made it: they look for it once a second.
const executorsWithin = 1500 * time.Millisecond

// noteUnserved says of which queues of the tasks there is no executor. It is a
// help, not a check: an executor may come later, or have a group of its own, so
// that nothing that goes wrong here is an error of the deploy.
func (a *app) noteUnserved(ctx context.Context, tasks []string) {
	queues := queuesOf(tasks)
	if len(queues) == 0 {
		return
	}
	k, err := a.Settings.Kafka(nil)
	if err != nil {
		return
	}
	admin, err := kafka.NewAdmin(k)
	if err != nil {
		return
	}
	defer admin.Close()
	ctx, cancel := context.WithTimeout(ctx, executorsWithin)
	defer cancel()
	for _, queue := range unserved(ctx, admin, a.Settings.Names(), queues) {
		how := "leat dev --exec '" + queue + ".*=PROGRAM', executor --exec '" + queue + ".*=PROGRAM', a program with pkg/executor, or a worker over HTTP (executor --http)"
		if queue == "http" {
			how = "executor --http-allow HOST, or leat dev --http-allow HOST"
		}
		a.Print.Say("note: no executor serves queue %s yet; its tasks wait for one: %s", queue, how)
	}
}

// queuesOf lists the queues of tasks.
func queuesOf(tasks []string) []string {
	queues := make([]string, len(tasks))
	for i, task := range tasks {
		queues[i] = topics.QueueOf(task)
	}
	slices.Sort(queues)
	return slices.Compact(queues)
}

// unserved lists the queues whose group of executors is still without a member when ctx ends.
func unserved(ctx context.Context, admin *kafka.Admin, names topics.Names, queues []string) []string {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	var without []string
	for {
		groups := make([]string, len(queues))
		for i, queue := range queues {
			groups[i] = executor.GroupOf(executor.DefaultGroup(names), queue)
		}
		if members, err := admin.Members(ctx, groups...); err == nil {
			without = without[:0]
			for i, group := range groups {
				if members[group] == 0 {
					without = append(without, queues[i])
				}
			}
			if len(without) == 0 {
				return nil
			}
		} else if ctx.Err() == nil {
			return nil // this cluster does not tell
		}
		select {
		case <-ctx.Done():
			return without
		case <-again.C:
		}
	}
}
