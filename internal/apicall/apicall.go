// Package apicall asks an HTTP API of Leat: JSON goes out and comes back, problems
// are errors, and server-sent events are read as they come.
package apicall

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/leat-io/leat/pkg/events"
)

// Caller asks one server. It is safe for concurrent use.
type Caller struct {
	Base string // URL without a slash at its end
	HTTP *http.Client
}

// Request is what is asked. Method and Path are required.
type Request struct {
	Method string
	Path   string
	Query  url.Values
	Header http.Header
	Body   any // as JSON; nil for none
}

// Problem is the answer of a server that refuses: RFC 9457, with a code of Leat.
type Problem struct { //nolint:errname // RFC 9457 calls it so
	Status int
	Code   string `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Fix    string `json:"fix"`
}

// Error reads "title: detail".
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// What can go wrong besides a [Problem] and the end of the context.
var (
	ErrRequest = errors.New("the request cannot be made")
	ErrAway    = errors.New("the server does not answer")
	ErrAnswer  = errors.New("the answer cannot be read")
)

// maxAnswer bounds what is read of one answer, or of one message, in bytes.
const maxAnswer = 64 << 20

// Call asks, and reads the answer into the value that out points to.
func (c *Caller) Call(ctx context.Context, r Request, out any) error {
	response, err := c.Open(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(out); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("read the answer of %s: %w", c.Base, ctx.Err())
		}
		return fmt.Errorf("%w: %s: %w", ErrAnswer, c.Base+r.Path, err)
	}
	return nil
}

// Open asks, and leaves the answer to be read and closed.
func (c *Caller) Open(ctx context.Context, r Request) (*http.Response, error) {
	var body io.Reader
	if r.Body != nil {
		text, err := events.EncodeJSON(r.Body)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRequest, err)
		}
		body = bytes.NewReader(text)
	}
	target := c.Base + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, target, body)
	if err != nil {
		return nil, fmt.Errorf("%w: the address is wrong: %w", ErrRequest, err)
	}
	maps.Copy(request.Header, r.Header)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.HTTP.Do(request)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("ask %s: %w", c.Base, ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrAway, c.Base, errors.Unwrap(err))
	case response.StatusCode >= http.StatusBadRequest:
		defer func() { _ = response.Body.Close() }()
		return nil, problemOf(response)
	}
	return response, nil
}

// problemOf reads why the server refuses.
func problemOf(response *http.Response) error {
	p := &Problem{}
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if json.Unmarshal(text, p) == nil && p.Code != "" {
		p.Status = response.StatusCode
		return p
	}
	of := ErrAnswer
	if response.StatusCode >= http.StatusInternalServerError {
		of = ErrAway
	}
	return fmt.Errorf("%w: %s", of, response.Status)
}

// Messages reads server-sent events and calls message with the kind and the data of
// each, until that says that it is over or the stream ends: then the error is nil,
// or why it broke. A comment is a message without data.
func Messages(body io.Reader, message func(kind, data string) (over bool, err error)) (over bool, err error) {
	lines := bufio.NewScanner(body)
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
			if over, err := message(kind, data); over || err != nil {
				return over, err
			}
			kind, data = "", ""
		}
	}
	return false, lines.Err()
}
