package projector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/projector/views"
	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

const (
	streamPage   = 100              // events in memory for one follower
	streamWrite  = 10 * time.Second // a follower that takes nothing for so long is disconnected
	streamQuiet  = 15 * time.Second // a comment is sent at least so often
	streamFormat = "text/event-stream"
)

type streamInput struct {
	InstancePath
	From int64  `query:"from" minimum:"1" default:"1" doc:"First sequence to send."`
	Last string `header:"Last-Event-ID" doc:"Sequence of the last event that was received; sent by browsers that reconnect."`
}

func (p *Projector) routeStream(api huma.API) {
	op := huma.Operation{
		OperationID: "follow-history", Method: http.MethodGet, Path: "/api/v1/instances/{type}/{id}/history/stream",
		Summary: "Follow the history: every event as it is committed",
		Description: "Server-sent events: an event is a message whose id is its sequence and whose data is that of an item of the history. " +
			"`end` says that the instance is finished, `error` that the stream ended early; continue with Last-Event-ID or from.",
		Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusServiceUnavailable},
		Responses: map[string]*huma.Response{"200": {
			Description: "OK", Content: map[string]*huma.MediaType{streamFormat: {Schema: &huma.Schema{Type: huma.TypeString}}},
		}},
	}
	huma.Register(api, op, p.stream)
}

// stream checks what can be answered with a problem, and then follows.
func (p *Projector) stream(_ context.Context, in *streamInput) (*huma.StreamResponse, error) {
	r, err := in.ref()
	if err != nil {
		return nil, err
	}
	from := in.From
	if last, err := strconv.ParseInt(in.Last, 10, 64); err == nil && last >= 0 && last < math.MaxInt64 {
		from = last + 1
	}
	var of views.Name
	if err := p.read(func(db *store.DB) error {
		id, i, err := r.resolve(db)
		if err != nil {
			return err
		}
		if head, err := views.HeadOf(db, r.workflowType, id); err != nil {
			return err
		} else if i == nil && head == 0 {
			return cmp.Or(r.notForgotten(db, id), missing(r))
		}
		of = views.Name{Type: r.workflowType, ID: id}
		return nil
	}); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		request, writer := humago.Unwrap(ctx)
		p.follow(request.Context(), writer, of, from)
	}}, nil
}

// follow sends what the view holds and then what comes, until the follower or
// the projector goes, or the instance is finished. The view is the follower's
// queue: it holds one page in memory and reads on at its own pace.
func (p *Projector) follow(ctx context.Context, writer http.ResponseWriter, of views.Name, from int64) {
	if !p.enter() {
		tooManyStreams(p.config.MaxFollowers).Write(writer)
		return
	}
	defer p.leave()
	f := follower{Projector: p, writer: writer, control: http.NewResponseController(writer), of: of, next: from}
	w := p.hub.watch(of)
	defer w.close()
	writer.Header().Set("Content-Type", streamFormat)
	writer.Header().Set("X-Accel-Buffering", "no") // proxies must not hold events back
	quiet := time.NewTicker(streamQuiet)
	defer quiet.Stop()
	for err := f.send(": leat\n\n"); err == nil; {
		if err = f.catchUp(ctx); err != nil {
			f.end(err)
			return
		}
		select {
		case <-w.news:
		case <-quiet.C:
			err = f.send(": still here\n\n")
		case <-p.stopping:
			f.end(p.away())
			return
		case <-ctx.Done():
			return
		}
	}
}

func (p *Projector) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.followers >= p.config.MaxFollowers {
		return false
	}
	p.followers++
	if p.config.Metrics.Followers != nil {
		p.config.Metrics.Followers(1)
	}
	return true
}

func (p *Projector) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.followers--
	if p.config.Metrics.Followers != nil {
		p.config.Metrics.Followers(-1)
	}
}

// follower is one live stream.
type follower struct {
	*Projector
	writer  http.ResponseWriter
	control *http.ResponseController
	of      views.Name
	next    int64 // sequence to send next
}

var (
	errFinished = errors.New("instance is finished")
	errSlow     = errors.New("follower takes no more")
)

// catchUp sends everything that the view has and the follower has not.
func (f *follower) catchUp(ctx context.Context) error {
	for ctx.Err() == nil {
		facts, finished, err := f.page()
		if err != nil {
			return err
		}
		for i := range facts {
			if n := facts[i].SequenceNumber; n < f.next || n == math.MaxInt64 {
				return errFinished // a stream never goes back: nothing can follow that
			}
			data, err := events.EncodeJSON(&facts[i])
			if err != nil {
				return f.judge(err)
			}
			if err := f.send(fmt.Sprintf("id: %d\ndata: %s\n\n", facts[i].SequenceNumber, data)); err != nil {
				return err
			}
			f.next = facts[i].SequenceNumber + 1
		}
		switch {
		case len(facts) > 0: // there may be more
		case finished:
			return errFinished
		default:
			return nil
		}
	}
	return ctx.Err()
}

// page reads what comes next. finished means that nothing will come behind it:
// the newest snapshot says so, and the history has got as far.
func (f *follower) page() (facts []views.Fact, finished bool, err error) {
	err = f.read(func(db *store.DB) error {
		i, err := views.Get(db, f.of.Type, f.of.ID)
		if err != nil {
			return err
		}
		finished = i != nil && i.Workflow.Finished() && i.Sequence < f.next
		facts, err = views.HistoryOf(db, f.of.Type, f.of.ID, f.next, streamPage)
		return err
	})
	return facts, finished, err
}

func (f *follower) send(text string) error {
	// A writer without deadlines (a test's) is as good as one that is fast.
	_ = f.control.SetWriteDeadline(f.config.Clock().Add(streamWrite))
	if _, err := f.writer.Write([]byte(text)); err != nil {
		return fmt.Errorf("%w: %w", errSlow, err)
	}
	if err := f.control.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errSlow, err)
	}
	return nil
}

// end says why the stream ends. A follower that is too slow may not get it.
func (f *follower) end(why error) {
	if errors.Is(why, context.Canceled) {
		return
	}
	if errors.Is(why, errFinished) {
		_ = f.send(fmt.Sprintf("event: end\ndata: {\"sequence_number\":%d}\n\n", f.next-1))
		return
	}
	var known *Problem
	if !errors.As(why, &known) {
		known = newProblem(http.StatusServiceUnavailable, problem.TimedOut, "The stream ended early", why.Error(), "reconnect with Last-Event-ID")
	}
	if data, err := events.EncodeJSON(known); err == nil {
		_ = f.send("event: error\ndata: " + string(data) + "\n\n")
	}
}
