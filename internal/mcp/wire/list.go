package wire

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// Bounds of a list of tools.
const (
	maxListBytes = 8 << 20 // of a page
	maxPages     = 1000
	maxTools     = 10_000
)

// Listing is what a subsystem offers.
type Listing struct {
	Tools   []*Tool
	Refused []Refusal
	// TTL is how long the server wants the list to be believed; 0 when it did not say.
	TTL time.Duration
	// Private says that the list is for this credential only.
	Private bool
}

// Tools lists all pages. A tool that cannot be called is refused and harms no
// other; of a name that is there twice nobody knows which one is called, so both
// are refused. The error is a [*Failure].
func (c *Conn) Tools(ctx context.Context) (*Listing, error) {
	server, failure := c.link.ready(ctx)
	if failure != nil {
		return nil, c.tell(failure.before())
	}
	l := lister{conn: c, out: &Listing{}, names: make(map[string]int), cursors: make(map[string]bool), fresh: make(map[[32]byte]*Tool)}
	if !server.Tools {
		return l.out, nil
	}
	for page := 0; ; page++ {
		m, err := c.ask(ctx, server, "tools/list", "", listParams{l.cursor, c.me.of(server.Revision)})
		if err != nil {
			return nil, err
		}
		more, failure := l.page(m.result)
		switch {
		case failure != nil:
			return nil, c.tell(failure)
		case !more:
			l.finish()
			return l.out, nil
		case page >= maxPages:
			return nil, c.tell(failed(CodeProtocol, Unknown, "its list of tools has more than %d pages", maxPages))
		}
	}
}

type lister struct {
	conn    *Conn
	out     *Listing
	cursor  string
	cursors map[string]bool
	names   map[string]int
	tools   []*Tool
	fresh   map[[32]byte]*Tool
}

// page takes one page, and reports whether there is another.
func (l *lister) page(result json.RawMessage) (more bool, failure *Failure) {
	var said struct {
		Tools  []json.RawMessage `json:"tools"`
		Cursor *string           `json:"nextCursor"`
		TTL    *float64          `json:"ttlMs"`
		Scope  string            `json:"cacheScope"`
	}
	if err := json.Unmarshal(result, &said); err != nil {
		return false, failed(CodeProtocol, Unknown, "its list of tools cannot be read: %v", err)
	}
	for _, raw := range said.Tools {
		l.add(raw)
	}
	if ttl := milliseconds(said.TTL); l.out.TTL == 0 || ttl > 0 && ttl < l.out.TTL {
		l.out.TTL = ttl
	}
	l.out.Private = l.out.Private || said.Scope == "private"
	if said.Cursor == nil || *said.Cursor == "" {
		return false, nil
	}
	if l.cursor = *said.Cursor; l.cursors[l.cursor] || len(l.tools) > maxTools {
		return false, failed(CodeProtocol, Unknown, "its list of tools does not end: a page is there twice, or it has more than %d tools", maxTools)
	}
	l.cursors[l.cursor] = true
	return true, nil
}

func (l *lister) add(raw json.RawMessage) {
	t, err := l.conn.known.parse(raw, l.fresh)
	name := ""
	if t != nil {
		name = t.Name
		l.names[name]++
	}
	if err != nil {
		l.out.Refused = append(l.out.Refused, Refusal{cut(name, maxToolName), err.Error()})
		return
	}
	l.tools = append(l.tools, t)
}

// finish drops what is there twice.
func (l *lister) finish() {
	for _, t := range l.tools {
		if n := l.names[t.Name]; n > 1 {
			l.out.Refused = append(l.out.Refused, Refusal{t.Name, fmt.Sprintf("it is listed %d times", n)})
			continue
		}
		l.out.Tools = append(l.out.Tools, t)
	}
	for _, r := range l.out.Refused {
		l.conn.opts.Log.Warn("tool refused", "subsystem", l.conn.target.ID, "tool", r.Name, "reason", r.Why)
	}
	l.conn.known.replace(l.fresh)
}

// knownTools are those of the last list, by the hash of their definitions: a list
// that did not change compiles nothing.
type knownTools struct {
	mu   sync.Mutex
	last map[[32]byte]*Tool
}

// parse reads a definition, and compiles its schemas once.
func (k *knownTools) parse(raw json.RawMessage, fresh map[[32]byte]*Tool) (*Tool, error) {
	sum := sha256.Sum256(raw)
	k.mu.Lock()
	t := k.last[sum]
	k.mu.Unlock()
	if t == nil {
		var err error
		if t, err = ParseTool(raw); err != nil {
			return t, err
		}
		if _, _, err = t.Schemas(); err != nil {
			return t, err
		}
	}
	fresh[sum] = t
	return t, nil
}

func (k *knownTools) replace(fresh map[[32]byte]*Tool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = fresh
}
