package httpcall

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/leat-io/leat/pkg/events"
)

// An answer that says when to come again is heard by the executor.
func TestRetryAfterIsHeard(t *testing.T) {
	header, status := "", 0
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Retry-After", header)
		rw.WriteHeader(status)
	}))
	defer s.Close()
	c := newCaller(t, Config{Allow: []string{s.URL}})
	for _, h := range []struct {
		status int
		header string
		want   time.Duration
	}{{429, "7", 7 * time.Second}, {503, "120", 2 * time.Minute}, {429, "soon", 0}, {429, "-1", 0}, {404, "7", 0}} {
		header, status = h.header, h.status
		_, err := c.Handle(t.Context(), task(`{"url": "`+s.URL+`"}`))
		var after interface{ RetryAfter() time.Duration }
		var got time.Duration
		if errors.As(err, &after) {
			got = after.RetryAfter()
		}
		if own, ok := errors.AsType[*events.Error](err); !ok || got != h.want || own.Error() != err.Error() {
			t.Errorf("%d %s: %s, %v", h.status, h.header, got, err)
		}
	}
	now := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	if got := retryAfter("Sun, 29 Nov 2026 10:01:30 GMT", now); got != 90*time.Second {
		t.Errorf("got %s", got)
	}
}
