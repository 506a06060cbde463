package leattest

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/executor"
	"github.com/leat-io/leat/pkg/topics"
)

// Handle makes h run the tasks of a name, "queue.task" or "queue.*", from now on;
// another handler of the name is replaced. h is what pkg/executor takes: a function
//
//	func(ctx context.Context, in In) (Out, error)
//
// over any types, or an [executor.Handler]. A test that has an executor already
// hands it to [Env.Run] instead.
func (e *Env) Handle(name string, h any) {
	e.t.Helper()
	handler, err := handlerOf(h)
	if err != nil {
		e.t.Fatalf("leattest: handle %s: %v", name, err)
	}
	e.handlers[name] = handler
	if e.working != nil {
		e.working.end()
		e.working = nil
		e.work()
	}
}

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// handlerOf is h as an executor wants it.
func handlerOf(h any) (executor.Handler, error) {
	switch h := h.(type) {
	case executor.Handler:
		return h, nil
	case func(context.Context, executor.Task) (executor.Result, error):
		return h, nil
	}
	f := reflect.ValueOf(h)
	if !f.IsValid() || f.Kind() != reflect.Func || f.IsNil() {
		return nil, fmt.Errorf("%T is not a function", h)
	}
	t := f.Type()
	if t.NumIn() != 2 || t.NumOut() != 2 || t.IsVariadic() || t.In(0) != contextType || t.Out(1) != errorType {
		return nil, fmt.Errorf("%s is not a handler: want func(ctx context.Context, in In) (Out, error)", t)
	}
	return func(ctx context.Context, task executor.Task) (executor.Result, error) {
		in := reflect.New(t.In(1))
		if err := task.Decode(in.Interface()); err != nil {
			return nil, err
		}
		out := f.Call([]reflect.Value{reflect.ValueOf(ctx), in.Elem()})
		if err, failed := reflect.TypeAssert[error](out[1]); failed {
			return nil, err
		}
		return out[0].Interface(), nil
	}, nil
}

// work runs the handlers, if there are any that do not run yet.
func (e *Env) work() {
	e.t.Helper()
	if e.working != nil || len(e.handlers) == 0 {
		return
	}
	w, err := executor.New(executor.Config{Brokers: e.Brokers(), NodeID: "leattest", DrainTimeout: drain, Logger: e.logger})
	if err != nil {
		e.t.Fatalf("leattest: %v", err)
	}
	if err := e.register(w); err != nil {
		e.t.Fatalf("leattest: %v", err)
	}
	w.Use(e.calls.around)
	e.working = e.launch("executor", w.Run)
	e.settle(w.Ready)
}

// drain is how long a handler may go on when the test has ended, before its context
// ends too. Its result is not waited for.
const drain = 100 * time.Millisecond

// register gives w its handlers and makes the topics of their queues, so that it
// need not wait for a definition that names them.
func (e *Env) register(w *executor.Executor) (err error) {
	defer func() {
		if p := recover(); p != nil { // a name that an executor does not take
			err = fmt.Errorf("%v", p)
		}
	}()
	admin, err := kafka.NewAdmin(e.kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var names topics.Names
	for _, name := range slices.Sorted(maps.Keys(e.handlers)) {
		w.HandleTask(name, e.handlers[name])
		if err := admin.Provision(ctx, kafka.Replicas(0), names.Queue(topics.QueueOf(name), partitions)...); err != nil {
			return err
		}
	}
	return nil
}
