package projector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/leat-io/leat/internal/avro"
	"github.com/leat-io/leat/internal/endings"
	"github.com/leat-io/leat/internal/follow"
	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// endsPath ends the path of the route.
const endsPath = "/ends"

type endsInput struct {
	Type string `path:"type" doc:"Workflow type."`
	Body endings.Request
}

func (p *Projector) routeEnds(api huma.API) {
	op := huma.Operation{
		OperationID: "follow-ends", Method: http.MethodPost, Path: "/api/v1/types/{type}" + endsPath,
		Summary: "Follow the ends of all instances of a type", MaxBodyBytes: endings.MaxBody,
		Description: "One stream for a program that waits for many instances. Server-sent events: `end` says that an instance has ended " +
			"(workflow_type, instance_id, key, sequence_number, state, output, error; output_omitted when the output is larger than 16 KiB: ask for the instance; " +
			"forgotten when its retention is over), `outcome` that a command led to nothing, or that the instance that it starts was there (command_id, status, error), " +
			"`error` that the stream is over. What is asked for in the body is answered first, and everything that ends after the " +
			"answer has begun follows. Whoever comes back names what it still waits for: nothing is missed, whatever was restarted in between. " +
			"A message may be sent more than once. A listener that is too slow is dropped, and comes back.",
		Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusServiceUnavailable},
		Responses: map[string]*huma.Response{"200": {
			Description: "OK", Content: map[string]*huma.MediaType{streamFormat: {Schema: &huma.Schema{Type: huma.TypeString}}},
		}},
	}
	huma.Register(api, op, p.listen)
}

// feed is what those hear who listen to the ends of a type.
type feed struct {
	endings.Journal
	workflowType string
	listeners    int // guarded by Projector.mu

	opening sync.Mutex
	forget  func() // ends the reading of outcomes; nil before it has begun
}

// listen checks what can be answered with a problem, and then tells.
func (p *Projector) listen(ctx context.Context, in *endsInput) (*huma.StreamResponse, error) {
	if err := checkType(in.Type); err != nil {
		return nil, err
	}
	if len(in.Body.Commands) > 0 && in.Body.Since.IsZero() {
		return nil, badRequest("The outcomes cannot be found", errors.New("commands without since"))
	}
	if !p.caughtUp() {
		return nil, p.away() // what is folded until then has ended long ago
	}
	if p.registry.Partitions(in.Type) == 0 {
		return nil, unknownType(in.Type)
	}
	if !p.enter() {
		return nil, tooManyStreams(p.config.MaxFollowers)
	}
	f, err := p.join(ctx, in.Type)
	if err != nil {
		p.leave()
		return nil, err
	}
	// The deadline by which the request has to be read (huma's 5 s, and that of the
	// front of every server) does not end the stream: the body has been read to its end
	// here, and net/http lifts the deadline then, to see from there on whether the other
	// side is still there. Who sets one later, or leaves a part unread, ends the stream.
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer p.leave()
		defer p.part(f)
		request, writer := humago.Unwrap(ctx)
		l := listener{
			follower: follower{Projector: p, writer: writer, control: http.NewResponseController(writer)},
			feed:     f, next: f.End(), asked: &in.Body,
		}
		writer.Header().Set("Content-Type", streamFormat)
		writer.Header().Set("X-Accel-Buffering", "no") // proxies must not hold messages back
		if err := l.listen(request.Context()); err != nil {
			l.end(err)
		}
	}}, nil
}

// caughtUp reports whether everything that was in the log when Run began is in the
// views.
func (p *Projector) caughtUp() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.started && len(p.pending) == 0
}

// join gives the feed of a type, which is filled from then on.
func (p *Projector) join(ctx context.Context, workflowType string) (*feed, error) {
	p.mu.Lock()
	f := p.feeds[workflowType]
	if f == nil {
		f = &feed{workflowType: workflowType}
		p.feeds[workflowType] = f
	}
	f.listeners++
	p.mu.Unlock()
	f.opening.Lock()
	defer f.opening.Unlock()
	if f.forget != nil {
		return f, nil
	}
	w := &follow.Watch{Record: func(r *kafka.Record) {
		if m := p.outcomeOf(f.workflowType, r, nil); m != nil {
			f.Append(m)
		}
	}}
	forget, err := p.outcomes.Watch(ctx, w, follow.Place{Topic: p.config.Names.Outcomes(workflowType)})
	if err != nil {
		p.unlist(f)
		return nil, p.unread(err)
	}
	f.forget = forget
	return f, nil
}

// part is called when somebody listens no longer.
func (p *Projector) part(f *feed) {
	if !p.unlist(f) {
		return
	}
	f.opening.Lock()
	defer f.opening.Unlock()
	if f.forget != nil {
		f.forget()
	}
}

// unlist reports whether nobody listens to f any longer.
func (p *Projector) unlist(f *feed) (last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.listeners--; f.listeners > 0 {
		return false
	}
	if p.feeds[f.workflowType] == f {
		delete(p.feeds, f.workflowType)
	}
	return true
}

func (p *Projector) unread(err error) error {
	var known *Problem
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	return newProblem(http.StatusServiceUnavailable, problem.KafkaAway, "The outcomes cannot be read", err.Error(), "")
}

// tell gives the ends of a batch to those who listen.
func (p *Projector) tell(ended []*endings.End) {
	messages := make(map[*feed][][]byte)
	for _, e := range ended {
		f := p.feedOf(e.WorkflowType)
		if f == nil {
			continue
		}
		if m, err := endings.Message(endings.KindEnd, e); err == nil {
			messages[f] = append(messages[f], m)
		}
	}
	for f, list := range messages {
		f.Append(list...)
	}
}

// feedOf is nil while nobody listens.
func (p *Projector) feedOf(workflowType string) *feed {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.feeds[workflowType]
}

// outcomeOf is the message for an outcome, which has to be of one of commands if
// there are any;
// it is nil for every other record.
func (p *Projector) outcomeOf(workflowType string, r *kafka.Record, commands map[events.UUID]bool) []byte {
	o, err := avro.DecodeOutcome(r.Value)
	if err != nil || o.WorkflowType != workflowType || o.Status == events.OutcomeDescribed {
		return nil
	}
	if commands != nil && !commands[o.CommandID] {
		return nil
	}
	if len(o.InstanceOutput) > endings.MaxOutput { // who needs it asks for the instance
		o.InstanceState, o.InstanceOutput = "", nil
	}
	message, err := endings.Message(endings.KindOutcome, &o)
	if err != nil {
		return nil
	}
	return message
}

// listener is one stream of ends.
type listener struct {
	follower
	feed  *feed
	next  int64 // number of the message to send next
	asked *endings.Request
}

// listen answers what was asked for, and then sends what comes, until the listener
// or the projector goes, or the listener is too slow. The journal is the queue of
// all: nobody is waited for.
func (l *listener) listen(ctx context.Context) error {
	if err := l.send(": leat\n\n"); err != nil {
		return err
	}
	if err := l.answer(ctx); err != nil {
		return err
	}
	quiet := time.NewTicker(streamQuiet)
	defer quiet.Stop()
	for {
		messages, more, err := l.feed.Next(l.next)
		if err != nil {
			return newProblem(http.StatusServiceUnavailable, problem.TooManyFollow, "The stream is too slow", err.Error(), "ask again, with what is still waited for")
		}
		if len(messages) > 0 {
			if err := l.send(string(slices.Concat(messages...))); err != nil {
				return err
			}
			l.next += int64(len(messages))
			continue
		}
		select {
		case <-more:
		case <-quiet.C:
			if err := l.send(": still here\n\n"); err != nil {
				return err
			}
		case <-l.stopping:
			return l.away()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// answer sends what is known of what was asked for. What ends later is in the
// journal: the listener has joined before.
func (l *listener) answer(ctx context.Context) error {
	for page := range slices.Chunk(l.asked.Instances, streamPage) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var text []byte
		if err := l.read(func(db *store.DB) (err error) {
			text, err = l.endsIn(db, page)
			return err
		}); err != nil {
			return err
		}
		if len(text) > 0 {
			if err := l.send(string(text)); err != nil {
				return err
			}
		}
	}
	if len(l.asked.Commands) == 0 {
		return nil
	}
	return l.past(ctx)
}

// endsIn is the messages for those of the instances that have ended.
func (l *listener) endsIn(db *store.DB, ids []events.UUID) (text []byte, err error) {
	for _, id := range ids {
		e, err := l.endIn(db, id)
		if err != nil {
			return nil, err
		}
		if e == nil {
			continue
		}
		message, err := endings.Message(endings.KindEnd, e)
		if err != nil {
			return nil, err
		}
		text = append(text, message...)
	}
	return text, nil
}

// endIn is the end of an instance in the views, nil for none.
func (l *listener) endIn(db *store.DB, id events.UUID) (*endings.End, error) {
	i, err := views.Get(db, l.feed.workflowType, id)
	if err != nil {
		return nil, err
	}
	if i == nil {
		sequence, forgotten, err := views.StoredHead(db, l.feed.workflowType, id)
		if err != nil || !forgotten {
			return nil, err
		}
		return &endings.End{WorkflowType: l.feed.workflowType, InstanceID: id, SequenceNumber: sequence, Forgotten: true}, nil
	}
	if !i.Workflow.Finished() {
		return nil, nil //nolint:nilnil // it has no end yet
	}
	s, err := i.Snapshot()
	if err != nil {
		return nil, err
	}
	return views.EndOf(s), nil
}

// past sends the outcomes of commands that were there before the listener came.
func (l *listener) past(ctx context.Context) error {
	reader, err := l.reading()
	if err != nil {
		return err
	}
	commands := make(map[events.UUID]bool, len(l.asked.Commands))
	for _, id := range l.asked.Commands {
		commands[id] = true
	}
	topic := l.config.Names.Outcomes(l.feed.workflowType)
	ranges, err := reader.Ranges(ctx, topic)
	if err != nil {
		return l.unread(err)
	}
	since, err := reader.OffsetsAt(ctx, topic, l.asked.Since)
	if err != nil {
		return l.unread(err)
	}
	for at, bounds := range ranges {
		if err := reader.ReadTo(ctx, at, max(bounds.Start, since[at]), bounds.End, func(r *kafka.Record) error {
			if m := l.outcomeOf(l.feed.workflowType, r, commands); m != nil {
				return l.send(string(m))
			}
			return nil
		}); err != nil {
			return l.unread(err)
		}
	}
	return nil
}

func unknownType(workflowType string) *Problem {
	return newProblem(http.StatusNotFound, problem.DefinitionMissing, "There is no workflow type "+workflowType, "no definition of it is deployed", "")
}

func tooManyStreams(most int) *Problem {
	return newProblem(http.StatusServiceUnavailable, problem.TooManyFollow, "Too many live streams are open",
		fmt.Sprintf("this projector serves %d", most), "ask for the instance or its history instead, or ask another projector")
}
