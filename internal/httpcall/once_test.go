package httpcall

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/leat-io/leat/pkg/events"
)

// breaking is a server that answers the first request of each connection and
// takes every later one without an answer, as a server that crashes does.
func breaking(t *testing.T) (url string, taken *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken = new(atomic.Int32)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				for n := 0; ; n++ {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					taken.Add(1)
					if n > 0 {
						return
					}
					_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
				}
			})
		}
	})
	t.Cleanup(conns.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	return "http://" + listener.Addr().String(), taken
}

// A request that changes something is written once an attempt, whatever its
// connection does, although net/http would repeat one with an idempotency key.
func TestOneAttemptIsOneRequest(t *testing.T) {
	for _, test := range []struct {
		method, body string
		delivery     events.DeliveryGuarantee
		retryable    bool
	}{
		{"POST", `, "body": {"a": 1}`, events.AtLeastOnce, true},
		{"POST", ``, events.AtLeastOnce, true},
		{"DELETE", ``, events.AtLeastOnce, true},
		{"POST", `, "body": {"a": 1}`, events.AtMostOnce, false},
	} {
		url, taken := breaking(t)
		c := newCaller(t, Config{Allow: []string{url}})
		input := `{"url": "` + url + `", "method": "` + test.method + `"` + test.body + `}`
		if _, err := c.Handle(t.Context(), task(input)); err != nil {
			t.Fatal(err)
		}
		again := task(input)
		again.Delivery = test.delivery
		_, err := c.Handle(t.Context(), again)
		c.Close()
		e, ok := errors.AsType[*events.Error](err)
		if !ok || e.Code != CodeTransport || e.Retryable != test.retryable {
			t.Errorf("%s %s: got %v", test.method, test.delivery, err)
		}
		if n := taken.Load(); n != 2 {
			t.Errorf("%s %s: the server took %d requests of 2 attempts", test.method, test.delivery, n)
		}
	}
}

// What may have been done and must not be done twice is not retried; what was
// refused at the door is.
func TestAtMostOnceStatus(t *testing.T) {
	w := newWorld(t)
	c := newCaller(t, Config{Allow: []string{w.url}})
	for path, want := range map[string]bool{"/status/503": false, "/status/429": true} {
		once := task(`{"url": "` + w.url + path + `", "method": "POST"}`)
		once.Delivery = events.AtMostOnce
		_, err := c.Handle(t.Context(), once)
		if e, ok := errors.AsType[*events.Error](err); !ok || e.Retryable != want {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
