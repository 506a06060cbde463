package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// testOptions bound what no test has to wait for.
func testOptions() Options {
	return Options{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Limits: Limits{Idle: 20 * time.Second, ResultBytes: testLimit}}
}

func open(t *testing.T, target Target, options Options) *Conn {
	t.Helper()
	c, err := Open(t.Context(), target, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// named is a tool without a schema to speak of.
func named(t *testing.T, name string) *Tool {
	t.Helper()
	tool, err := ParseTool(json.RawMessage(fmt.Sprintf(`{"name":%q,"inputSchema":{"type":"object"}}`, name)))
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

func failureOf(t *testing.T, err error) *Failure {
	t.Helper()
	var f *Failure
	if !errors.As(err, &f) {
		t.Fatalf("want a failure, got %v", err)
	}
	return f
}

// bystanders are calls that are in flight while another one fails.
func bystanders(t *testing.T, c *Conn, f *faults) (finish func()) {
	t.Helper()
	before := f.arrived.Load()
	var work sync.WaitGroup
	var fine atomic.Int64
	for range 8 {
		work.Go(func() {
			if a, err := c.Call(context.Background(), &Call{Tool: named(t, "slow")}); err != nil {
				t.Errorf("a bystander: %v", err)
			} else if _, ok := a.(*Result); ok {
				fine.Add(1)
			}
		})
	}
	eventually(t, "the bystanders do not arrive", func() bool { return f.arrived.Load() == before+8 })
	return func() {
		close(f.release)
		work.Wait()
		if fine.Load() != 8 {
			t.Errorf("%d of 8 bystanders were answered", fine.Load())
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// Each class of failure says what it proves, and harms no other call. What is
// proven not to have run has no effect, and nothing reaches the server twice.
func TestEvidenceOverHTTP(t *testing.T) {
	t.Parallel()
	const none = Evidence(-1) // no failure
	idle := Limits{Idle: testIdle}
	for name, c := range map[string]struct {
		evidence Evidence
		code     string
		limits   Limits
	}{
		"fine": {evidence: none}, "stream": {evidence: none}, "is error": {evidence: none}, "strays": {evidence: none}, "exact number": {evidence: none},
		"401": {Refused, CodeUnauthorized, Limits{}}, "403": {Refused, CodeUnauthorized, Limits{}}, "413": {Refused, CodeTooLarge, Limits{}},
		"429 later": {Refused, CodeBusy, Limits{}}, "503 later": {Refused, CodeBusy, Limits{}},
		"header mismatch": {Refused, CodeProtocol, Limits{}}, "capability": {Refused, CodeProtocol, Limits{}}, "revision": {Refused, CodeProtocol, Limits{}},
		"400": {Unknown, CodeProtocol, Limits{}}, "404": {Unknown, CodeUnavailable, Limits{}}, "202": {Unknown, CodeProtocol, Limits{}},
		"429": {Unknown, CodeBusy, Limits{}}, "503": {Unknown, CodeUnavailable, Limits{}}, "500": {Unknown, CodeUnavailable, Limits{}},
		"502": {Unknown, CodeUnavailable, Limits{}}, "302 away": {Unknown, CodeProtocol, Limits{}}, "307 away": {Unknown, CodeProtocol, Limits{}},
		"invalid params": {Unknown, CodeArguments, Limits{}}, "internal": {Unknown, CodeTool, Limits{}}, "code 0": {Unknown, CodeTool, Limits{}},
		"internal 500": {Unknown, CodeTool, Limits{}}, "unknown type": {Unknown, CodeInvalid, Limits{}}, "task": {Unknown, CodeInvalid, Limits{}},
		"no content": {Unknown, CodeInvalid, Limits{}}, "no object": {Unknown, CodeInvalid, Limits{}}, "empty question": {Unknown, CodeInvalid, Limits{}},
		"sampling": {Unknown, CodeInvalid, Limits{}}, "truncated": {Unknown, CodeProtocol, Limits{}}, "cut off": {Unknown, CodeUnavailable, Limits{}},
		"garbage": {Unknown, CodeProtocol, Limits{}}, "html": {Unknown, CodeProtocol, Limits{}}, "reset": {Unknown, CodeUnavailable, Limits{}},
		"closed": {Unknown, CodeUnavailable, Limits{}}, "stream cut": {Unknown, CodeUnavailable, Limits{}}, "large": {Unknown, CodeTooLarge, Limits{}},
		"large stream": {Unknown, CodeTooLarge, Limits{}}, "a bit large": {Unknown, CodeTooLarge, Limits{}}, "for another": {Unknown, CodeProtocol, Limits{}},
		"silent": {Unknown, CodeTimeout, idle}, "comments": {Unknown, CodeTimeout, idle}, "still": {Unknown, CodeTimeout, idle},
		"another's": {Unknown, CodeTimeout, idle}, "rising": {Unknown, CodeTimeout, Limits{Idle: 20 * time.Second, Call: 2 * testIdle}},
		"busy": {none, "", Limits{Idle: 4 * testIdle}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFaults(t)
			conn := open(t, Target{ID: "faulty", URL: f.URL}, testOptions())
			finish := bystanders(t, conn, f)
			a, err := conn.Call(t.Context(), &Call{Tool: named(t, name), Limits: c.limits})
			if c.evidence == none {
				if _, ok := a.(*Result); err != nil || !ok {
					t.Errorf("got %v, %v", a, err)
				}
			} else if got := failureOf(t, err); got.Evidence != c.evidence || got.Code != c.code {
				t.Errorf("got %s, %s: %v; want %s, %s", got.Evidence, got.Code, err, c.evidence, c.code)
			}
			seen, ran := f.counts(name)
			if seen != 1 && c.code != CodeUnauthorized {
				t.Errorf("the server saw the call %d times", seen)
			}
			if c.evidence.Proven() && c.evidence != none && ran != 0 {
				t.Error("it is said not to have run, and has run")
			}
			finish()
			if _, err := conn.Call(t.Context(), &Call{Tool: named(t, "fine")}); err != nil {
				t.Errorf("the connection is of no use any more: %v", err)
			}
			if name == "strays" {
				if s := conn.Stats(); s.Strays != 1 || s.Noise != 2 {
					t.Errorf("got %+v", s)
				}
			}
		})
	}
}

func TestRetryAfterIsTold(t *testing.T) {
	f := newFaults(t)
	conn := open(t, Target{ID: "s", URL: f.URL}, testOptions())
	_, err := conn.Call(t.Context(), &Call{Tool: named(t, "503 later")})
	if got := failureOf(t, err); got.RetryAfter != 7*time.Second || got.Status != 503 {
		t.Errorf("got %+v", got)
	}
}

// Numbers are as the server wrote them, and content that is missing is empty.
func TestResultsAreRaw(t *testing.T) {
	f := newFaults(t)
	conn := open(t, Target{ID: "s", URL: f.URL}, testOptions())
	a, err := conn.Call(t.Context(), &Call{Tool: named(t, "exact number")})
	if err != nil {
		t.Fatal(err)
	}
	if r := a.(*Result); string(r.Structured) != `{"n":9007199254740993,"f":1.10,"e":1E+2}` || string(r.Content) != "[]" {
		t.Errorf("got %s %s", r.Structured, r.Content)
	}
}

// Who cannot be reached got nothing: also when it went away in the meantime.
func TestNobodyListens(t *testing.T) {
	f := newFaults(t)
	conn := open(t, Target{ID: "s", URL: f.URL}, testOptions())
	f.Close()
	began := time.Now()
	_, err := conn.Call(t.Context(), &Call{Tool: named(t, "fine")})
	if got := failureOf(t, err); got.Evidence != NotSent || got.Code != CodeUnavailable {
		t.Errorf("got %s: %v", got.Evidence, err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if _, err := Open(t.Context(), Target{ID: "s", URL: f.URL}, testOptions()); failureOf(t, err).Evidence != NotSent {
		t.Errorf("got %v", err)
	}
}

// The request is lost on its way: half of it arrived.
func TestHalfARequestDidNotRun(t *testing.T) {
	f := newFaults(t)
	conn := open(t, Target{ID: "s", URL: f.URL}, testOptions())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	blocked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c := hijack(w) // the body is not read
		<-ctx.Done()
		reset(c)
	}))
	defer blocked.Close()
	conn.link.(*httpLink).url = blocked.URL
	time.AfterFunc(200*time.Millisecond, cancel)
	_, err := conn.Call(ctx, &Call{Tool: named(t, "fine"), Arguments: json.RawMessage(`{"a":"` + strings.Repeat("x", 32<<20) + `"}`)})
	if got := failureOf(t, err); got.Evidence != NotSent || !errors.Is(err, context.Canceled) {
		t.Errorf("got %s: %v", got.Evidence, err)
	}
}

// The caller's end is the call's.
func TestCallerGivesUp(t *testing.T) {
	f := newFaults(t)
	conn := open(t, Target{ID: "s", URL: f.URL}, testOptions())
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the state was left")
	time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
	began := time.Now()
	_, err := conn.Call(ctx, &Call{Tool: named(t, "silent")})
	if got := failureOf(t, err); got.Evidence != Unknown || !errors.Is(err, why) {
		t.Errorf("got %s: %v", got.Evidence, err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestProgressRises(t *testing.T) {
	f := newFaults(t)
	conn := open(t, Target{ID: "s", URL: f.URL}, testOptions())
	var seen []float64 // by one goroutine, and not after the call
	_, err := conn.Call(t.Context(), &Call{Tool: named(t, "busy"), Progress: func(p Progress) {
		if p.Total != 9 {
			t.Errorf("got %+v", p)
		}
		seen = append(seen, p.Done)
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, done := range seen {
		if i > 0 && done <= seen[i-1] {
			t.Errorf("got %v", seen)
		}
	}
	if len(seen) < 3 {
		t.Errorf("got %v", seen)
	}
}

// What a call says of itself arrives.
func TestMetaOfACall(t *testing.T) {
	f := newFaults(t)
	options := testOptions()
	secret := "first-secret"
	options.Authorizer = &Key{Read: func() (string, error) { return secret, nil }}
	conn := open(t, Target{ID: "s", URL: f.URL}, options)
	secret = "second-secret" // a new key counts at once
	if _, err := conn.Call(t.Context(), &Call{Tool: named(t, "fine"), Key: "k-1", Traceparent: "00-1-2-01"}); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var meta struct {
		Key   string `json:"io.leat/idempotency-key"`
		Trace string `json:"traceparent"`
	}
	if err := json.Unmarshal(f.meta["fine"], &meta); err != nil || meta.Key != "k-1" || meta.Trace != "00-1-2-01" {
		t.Errorf("got %s", f.meta["fine"])
	}
	if f.token["fine"] != "Bearer second-secret" {
		t.Errorf("got %q", f.token["fine"])
	}
}

// What is too long is not held in memory: 50 MB, to many calls at once.
func TestMemoryIsBounded(t *testing.T) {
	f := newFaults(t)
	conn := open(t, Target{ID: "s", URL: f.URL}, testOptions())
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak atomic.Uint64
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			peak.Store(max(peak.Load(), now.HeapAlloc))
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	var work sync.WaitGroup
	for i := range 16 {
		name := []string{"large", "large stream"}[i%2]
		work.Go(func() {
			if _, err := conn.Call(t.Context(), &Call{Tool: named(t, name)}); failureOf(t, err).Code != CodeTooLarge {
				t.Error(err)
			}
		})
	}
	work.Wait()
	close(stop)
	watch.Wait()
	if more := int64(peak.Load()) - int64(before.HeapAlloc); more > 100<<20 {
		t.Errorf("%d MB more", more>>20)
	} else {
		t.Logf("%d MB more at the most", more>>20)
	}
}
