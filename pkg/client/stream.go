package client

import (
	"bufio"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/kafka"
	"github.com/leat-io/leat/pkg/events"
)

// streamBack is how long a follower waits before it comes back to a stream that
// broke, at first and at most.
const (
	streamBack     = 100 * time.Millisecond
	streamBackMost = 5 * time.Second
)

// followAPI reads the projector's live stream, and comes back when it breaks.
func (c *Client) followAPI(ctx context.Context, workflowType, idOrKey string, from int64, yield func(events.Event) bool) error {
	ctx, cancel := c.living(ctx)
	defer cancel()
	s := stream{client: c, path: instancePath(workflowType, idOrKey) + "/history/stream", next: from, yield: yield}
	for back := streamBack; ; back = min(2*back, streamBackMost) {
		before := s.next
		over, err := s.read(ctx)
		if over {
			return err
		}
		if ctx.Err() != nil {
			return failed("follow "+workflowType+" "+idOrKey, ctx.Err())
		}
		if s.next > before {
			back = streamBack
		} else if err != nil && before == from {
			return err // it never worked
		}
		kafka.Pause(ctx, back)
	}
}

// stream is a history that is being followed.
type stream struct {
	client *Client
	path   string
	next   int64 // sequence to ask for
	yield  func(events.Event) bool
}

// read follows until the instance is finished or the consumer leaves, which is
// over, or until the stream breaks.
func (s *stream) read(ctx context.Context) (over bool, err error) {
	query := url.Values{"from": {strconv.FormatInt(s.next, 10)}}
	response, err := s.client.open(ctx, http.MethodGet, s.path, query, http.Header{"Accept": {"text/event-stream"}}, nil)
	if err != nil {
		return ctx.Err() != nil, err
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxAnswer)
	var kind, data string
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "event:"):
			kind = strings.TrimSpace(line[len("event:"):])
		case strings.HasPrefix(line, "data:"):
			data += strings.TrimPrefix(line[len("data:"):], " ")
		case line == "":
			if over, err := s.message(kind, data); over || err != nil {
				return over, err
			}
			kind, data = "", ""
		}
	}
	if ctx.Err() != nil {
		return true, failed("follow the history", ctx.Err())
	}
	return false, lines.Err()
}

func (s *stream) message(kind, data string) (over bool, err error) {
	switch {
	case kind == "end":
		return true, nil
	case kind != "" || data == "":
		return false, nil // an error that the stream ends with, or a comment
	}
	var e events.Event
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return true, newError(ErrAnswer, err, "an event of the stream cannot be read: %v", err)
	}
	if e.SequenceNumber < s.next || e.SequenceNumber == math.MaxInt64 {
		return false, nil
	}
	s.next = e.SequenceNumber + 1
	return !s.yield(e), nil
}
