package views

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leat-io/leat/internal/store"
	"github.com/leat-io/leat/pkg/events"
)

// indexKeys lists the index entries of an instance. What an index holds is a
// function of the card alone, so that an update is the difference of two lists.
func indexKeys(workflowType string, id events.UUID, c *card) [][]byte {
	tail := func(key []byte) []byte { return append(appendTime(key, c.created), id[:]...) }
	keys := [][]byte{
		tail(typed(prefixCreated, workflowType)),
		tail(appendText(typed(prefixWorkflow, workflowType), string(c.Workflow))),
	}
	for _, state := range c.states {
		keys = append(keys, tail(appendText(typed(prefixChart, workflowType), state)))
	}
	if c.key != "" {
		keys = append(keys, append(appendText(typed(prefixKey, workflowType), c.key), id[:]...))
	}
	for _, s := range c.search {
		keys = append(keys, searchKeys(workflowType, id, c, s)...)
	}
	return keys
}

// moveIndex replaces old's index entries by new's; either may be nil.
func moveIndex(batch *store.Batch, workflowType string, id events.UUID, old, now *card) {
	var before, after [][]byte
	if old != nil {
		before = indexKeys(workflowType, id, old)
	}
	if now != nil {
		after = indexKeys(workflowType, id, now)
	}
	for _, key := range before {
		if !contains(after, key) {
			batch.Delete(key)
		}
	}
	for _, key := range after {
		if !contains(before, key) {
			batch.Set(key, nil)
		}
	}
}

func contains(keys [][]byte, key []byte) bool {
	for _, k := range keys {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}

// Filter says which instances a list holds. Zero fields do not filter.
type Filter struct {
	Type      string
	Workflow  events.WorkflowState
	State     string // an active or final chart state
	KeyPrefix string // of the business key; the list is in the order of keys then
	// Where are conditions on data, all of which hold. The list is in the order
	// of values when the first of them is not an equality and no key is given.
	Where  []Where
	Oldest bool // oldest first, else newest first
	Limit  int
	Cursor string
}

// maxExamined bounds the work for one page. A filter that matches almost
// nothing gives pages with few items and a cursor.
const maxExamined = 20_000

// maxRead bounds what is read for one page, as rows may be large.
const maxRead = 64 << 20

// ErrCursor says that a cursor is not one of this list's.
var ErrCursor = errors.New("cursor does not belong to this list")

// List gives a page of instances and the cursor of the next one, ""
// on the last. Without a type, types follow one another in the order of names.
// An instance that begins, or moves in or out of the filter, while someone pages
// never makes another appear twice or not at all.
func List(db *store.DB, f Filter) (page []*Instance, next string, err error) {
	types := []string{f.Type}
	if f.Type == "" {
		if types, err = storedTypes(db); err != nil {
			return nil, "", err
		}
	}
	at, err := base64.RawURLEncoding.DecodeString(f.Cursor)
	if err != nil {
		return nil, "", ErrCursor
	}
	l := lister{db: db, filter: f, left: maxExamined}
	if len(at) > 0 {
		types = types[find(types, typeOf(at)):]
		if len(types) == 0 || !f.covers(types[0], at) {
			return nil, "", ErrCursor
		}
	}
	for _, workflowType := range types {
		if err := l.scan(workflowType, at); err != nil {
			return nil, "", err
		}
		if l.next != nil {
			break
		}
		at = nil
	}
	return l.page, base64.RawURLEncoding.EncodeToString(l.next), nil
}

func find(list []string, s string) int {
	for i, have := range list {
		if have == s {
			return i
		}
	}
	return len(list)
}

// span is the range of index keys in which every match is, in the filter's most
// selective index. Forward says that the list is in the order of the index, and
// not in that of creation.
func (f *Filter) span(workflowType string) (from, to []byte, forward bool) {
	equality := slices.IndexFunc(f.Where, func(w Where) bool { return w.Op == events.Equals })
	switch {
	case equality >= 0:
		from, to = f.Where[equality].span(workflowType)
		// A list of strings that is equal to a long text has several such items.
		return from, to, len(f.Where[equality].Value) > maxIndexed
	case f.KeyPrefix != "":
		from, to = span(escape(typed(prefixKey, workflowType), f.KeyPrefix))
		return from, to, true
	case len(f.Where) > 0:
		from, to = f.Where[0].span(workflowType)
		return from, to, true
	case f.State != "":
		from, to = span(appendText(typed(prefixChart, workflowType), f.State))
	case f.Workflow != "":
		from, to = span(appendText(typed(prefixWorkflow, workflowType), string(f.Workflow)))
	default:
		from, to = span(typed(prefixCreated, workflowType))
	}
	return from, to, false
}

func (f *Filter) covers(workflowType string, key []byte) bool {
	from, to, _ := f.span(workflowType)
	return bytes.Compare(key, from) >= 0 && bytes.Compare(key, to) < 0 && len(key) >= len(typed(0, workflowType))+idLength
}

func (f *Filter) matches(c *card) bool {
	return (f.Workflow == "" || c.Workflow == f.Workflow) &&
		(f.State == "" || c.active(f.State)) &&
		strings.HasPrefix(c.key, f.KeyPrefix) &&
		!slices.ContainsFunc(f.Where, func(w Where) bool { return !w.holds(c) })
}

// again reports whether the instance was found before, at another entry of the
// index that is scanned.
func (f *Filter) again(workflowType string, key []byte, c *card) bool {
	if key[0] != prefixSearch {
		return false
	}
	used := max(0, slices.IndexFunc(f.Where, func(w Where) bool { return w.Op == events.Equals }))
	return !f.Where[used].first(workflowType, key, c)
}

type lister struct {
	db     *store.DB
	filter Filter
	left   int
	visit  func(*Instance) // takes what is found, instead of the page
	page   []*Instance
	bytes  int    // of the snapshots in page, as they are sent
	read   int    // bytes of the rows that were read for the page
	last   []byte // key of the newest item, or of the last one read
	next   []byte // nil while there is room
}

// scan adds the matches of one type that come after the index key at.
func (l *lister) scan(workflowType string, at []byte) error {
	from, to, forward := l.filter.span(workflowType)
	scan := l.db.ScanBack
	if l.filter.Oldest || forward {
		scan = l.db.Scan
		if len(at) > 0 {
			from = behind(at)
		}
	} else if len(at) > 0 {
		to = at
	}
	return scan(from, to, func(key, _ []byte) (bool, error) {
		if len(l.page) == l.filter.Limit || l.left == 0 || l.bytes >= pageBytes || l.read >= maxRead {
			l.next = l.last
			return false, nil
		}
		l.left--
		l.last = bytes.Clone(key)
		i, err := Get(l.db, workflowType, idOf(key))
		if err != nil {
			return false, err
		}
		if i != nil && l.visit == nil {
			l.read += len(i.raw)
		}
		// The row is read later than the index and may have moved on.
		if i != nil && l.filter.matches(&i.card) && !l.filter.again(workflowType, key, &i.card) {
			return true, l.found(i)
		}
		return true, nil
	})
}

func (l *lister) found(i *Instance) error {
	if l.visit != nil {
		l.visit(i)
		return nil
	}
	s, err := i.Snapshot()
	if err != nil {
		return err
	}
	l.page = append(l.page, i)
	l.bytes += sentBytes(s)
	return nil
}

// ByKey is the instance that a business key names: the one derived from
// it, else the oldest id that carries it.
func ByKey(db *store.DB, workflowType, key string) (id events.UUID, i *Instance, err error) {
	id = events.InstanceIDForKey(workflowType, key)
	if i, err = Get(db, workflowType, id); i != nil || err != nil {
		return id, i, err
	}
	var found events.UUID
	from, to := span(appendText(typed(prefixKey, workflowType), key))
	err = db.Scan(from, to, func(k, _ []byte) (bool, error) {
		found = idOf(k)
		return false, nil
	})
	if err != nil || found.IsNil() {
		return id, nil, err
	}
	i, err = Get(db, workflowType, found)
	return found, i, err
}

// storedTypes lists the types that have a count, in order.
func storedTypes(db *store.DB) (types []string, err error) {
	from, to := span([]byte{prefixCount})
	for from != nil {
		at := from
		from = nil
		if err = db.Scan(at, to, func(key, _ []byte) (bool, error) {
			workflowType := typeOf(key)
			if workflowType == "" {
				return false, fmt.Errorf("count %q: %w", key, errTorn)
			}
			types = append(types, workflowType)
			_, from = span(typed(prefixCount, workflowType))
			return false, nil
		}); err != nil {
			return nil, err
		}
	}
	return types, nil
}
