package wire

import (
	"bytes"
	"context"
	"io"
	"net/http/httptrace"
	"sync"
)

// way is the body of a request on its way out, and what is known about how far it
// came. A server cannot have run what it did not get whole.
type way struct {
	mu    sync.Mutex
	left  *bytes.Reader
	whole bool // net/http has taken the last byte
	lost  bool // and says that it did not write it
}

// Read implements io.Reader for net/http.
func (w *way) Read(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.left.Read(b)
	if w.left.Len() == 0 {
		w.whole = true
	}
	return n, err
}

// Close implements io.Closer for net/http.
func (w *way) Close() error { return nil }

// rewind is for a request that is sent to another place of the same server, which
// said that it does not run it here.
func (w *way) rewind() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.left.Seek(0, io.SeekStart)
	w.whole, w.lost = false, false
}

// trace lets net/http say what it wrote.
func (w *way) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(info httptrace.WroteRequestInfo) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.lost = info.Err != nil
	}})
}

// evidence is what a request that failed without an answer proves.
func (w *way) evidence() Evidence {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.whole || w.lost {
		return NotSent
	}
	return Unknown
}
