package schema

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// node is a subschema.
type node struct {
	where   string
	depth   int
	value   any
	home    *document
	here    []*node // evaluated at the same place of a value
	below   []edge  // evaluated at places below
	group   int     // of nodes that lead to each other
	cyclic  bool
	cost    int // of evaluating it at one place
	spread  int // of evaluating it, and all below
	visited mark
}

type mark int

const (
	fresh mark = iota
	open
	done
)

// edge leads to what is evaluated at a place below.
type edge struct {
	to   *node
	kind kind
	name string // of a named property, or the number of an element
}

// kind says which places below a schema is for.
type kind int

const (
	named   kind = iota // one property
	pattern             // properties by pattern
	rest                // properties that are not named beside it
	names               // names of properties
	element             // one element
	others              // elements that are not numbered beside it
	each                // every element
)

// document is what pointers and anchors are relative to.
type document struct {
	root    *node
	base    *url.URL
	anchors map[string]*node
}

type walker struct {
	nodes     []*node              // in the order found
	at        map[string]*node     // by where they stand, from the first reference on
	documents map[string]*document // by absolute URL
	dynamic   map[string][]*node   // by dynamic anchor
}

// Where subschemas stand.
var (
	hereOne  = []string{"not", "if", "then", "else"}
	hereList = []string{"allOf", "anyOf", "oneOf"}
	hereMap  = []string{"dependentSchemas", "dependencies"}
	belowOne = map[string]kind{
		"additionalProperties": rest, "unevaluatedProperties": rest, "propertyNames": names,
		"items": others, "additionalItems": others, "unevaluatedItems": others, "contains": each,
	}
	belowList = []string{"prefixItems", "items"}
	belowMap  = map[string]kind{"properties": named, "patternProperties": pattern}
	aside     = []string{"$defs", "definitions"}
	refs      = []string{"$ref", "$recursiveRef", "$dynamicRef"}
)

// walk finds every subschema and where its references lead.
func walk(value any) (*walker, error) {
	w := &walker{documents: make(map[string]*document), dynamic: make(map[string][]*node)}
	if err := w.visit(w.add("", 0, value, nil)); err != nil {
		return nil, err
	}
	for i := 0; i < len(w.nodes); i++ { // a reference can lead to what was not seen as a schema
		if err := w.follow(w.nodes[i]); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *walker) add(where string, depth int, value any, home *document) *node {
	n := &node{where: where, depth: depth, value: value, home: home}
	if w.at != nil {
		w.at[where] = n
	}
	if n.home == nil {
		n.home = &document{root: n, base: &url.URL{}, anchors: make(map[string]*node)}
		w.documents[""] = n.home
	}
	w.nodes = append(w.nodes, n)
	return n
}

// visit finds what stands in n, and in that.
func (w *walker) visit(n *node) error {
	switch {
	case len(w.nodes) > MaxSubschemas:
		return refuse("", "has more than %d subschemas", MaxSubschemas)
	case n.depth > MaxDepth:
		return refuse("", "has subschemas more than %d deep", MaxDepth)
	}
	object, ok := n.value.(map[string]any)
	if !ok {
		if _, ok := n.value.(bool); ok {
			return nil
		}
		return refuse(n.where, "is neither an object nor a boolean")
	}
	w.name(n, object)
	return w.children(n, object, func(child *node) error { return w.visit(child) })
}

// name learns by which names n can be referred to.
func (w *walker) name(n *node, object map[string]any) {
	for _, key := range []string{"$id", "id"} {
		id, _ := object[key].(string)
		if id == "" || key == "id" && !strings.Contains(id, ":") {
			continue
		}
		if anchor, ok := strings.CutPrefix(id, "#"); ok {
			n.home.anchors[anchor] = n
			continue
		}
		to, err := n.home.base.Parse(strings.TrimSuffix(id, "#"))
		if err != nil {
			continue // the compiler says so
		}
		n.home = &document{root: n, base: to, anchors: make(map[string]*node)}
		w.documents[to.String()] = n.home
	}
	for _, key := range []string{"$anchor", "$dynamicAnchor"} {
		if anchor, ok := object[key].(string); ok {
			n.home.anchors[anchor] = n
			if key == "$dynamicAnchor" {
				w.dynamic[anchor] = append(w.dynamic[anchor], n)
			}
		}
	}
	if object["$recursiveAnchor"] == true {
		w.dynamic["#"] = append(w.dynamic["#"], n)
	}
}

// children adds the subschemas of n and hands each on.
func (w *walker) children(n *node, object map[string]any, visit func(*node) error) error {
	var failure error
	child := func(value any, path ...string) *node {
		if failure != nil {
			return n
		}
		c := w.add(n.where+pointer(path), n.depth+1, value, n.home)
		failure = visit(c)
		return c
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		w.keyword(n, key, object[key], child)
		if failure != nil {
			return failure
		}
	}
	return nil
}

// keyword adds the subschemas of one keyword.
func (w *walker) keyword(n *node, key string, value any, child func(any, ...string) *node) {
	list, isList := value.([]any)
	object, isObject := value.(map[string]any)
	below, isBelow := belowOne[key]
	byName, isMap := belowMap[key]
	switch {
	case n.evaluatedHere(key, value, child):
	case slices.Contains(belowList, key) && isList:
		for i, v := range list {
			n.below = append(n.below, edge{child(v, key, strconv.Itoa(i)), element, strconv.Itoa(i)})
		}
	case isMap && isObject:
		for _, name := range slices.Sorted(maps.Keys(object)) {
			n.below = append(n.below, edge{child(object[name], key, name), byName, name})
		}
	case isBelow:
		n.below = append(n.below, edge{to: child(value, key), kind: below})
	case slices.Contains(aside, key):
		for _, name := range slices.Sorted(maps.Keys(object)) {
			child(object[name], key, name)
		}
	}
}

// evaluatedHere adds those that are evaluated at the same place.
func (n *node) evaluatedHere(key string, value any, child func(any, ...string) *node) bool {
	switch {
	case slices.Contains(hereOne, key):
		n.here = append(n.here, child(value, key))
	case slices.Contains(hereList, key):
		list, _ := value.([]any)
		for i, v := range list {
			n.here = append(n.here, child(v, key, strconv.Itoa(i)))
		}
	case slices.Contains(hereMap, key):
		object, _ := value.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if _, required := object[name].([]any); !required { // of draft 7: a list of names
				n.here = append(n.here, child(object[name], key, name))
			}
		}
	default:
		return false
	}
	return true
}

// follow adds where the references of n lead.
func (w *walker) follow(n *node) error {
	object, _ := n.value.(map[string]any)
	for _, key := range refs {
		text, ok := object[key].(string)
		if !ok {
			continue
		}
		to, err := w.resolve(n, text)
		if err != nil {
			return err
		}
		n.here = append(n.here, to)
		if _, anchor, ok := strings.Cut(text, "#"); ok && key != "$ref" {
			if anchor == "" {
				anchor = "#"
			}
			n.here = append(n.here, slices.DeleteFunc(slices.Clone(w.dynamic[anchor]), func(other *node) bool { return other == to })...)
		}
	}
	return nil
}

// resolve finds the subschema that a reference means.
func (w *walker) resolve(n *node, text string) (*node, error) {
	to, err := n.home.base.Parse(text)
	if err != nil {
		return nil, refuse(n.where, "has a reference that cannot be read: %.200q", text)
	}
	fragment := to.Fragment
	home := n.home
	if !strings.HasPrefix(text, "#") {
		to.Fragment, to.RawFragment = "", ""
		if home = w.documents[to.String()]; home == nil {
			return nil, refuse(n.where, "refers to another document, %.200q: nothing is fetched; put it into $defs", text)
		}
	}
	if fragment == "" {
		return home.root, nil
	}
	if !strings.HasPrefix(fragment, "/") {
		if to := home.anchors[fragment]; to != nil {
			return to, nil
		}
		return nil, refuse(n.where, "refers to %.200q, which is not there", text)
	}
	value, ok := at(home.root.value, fragment)
	if !ok {
		return nil, refuse(n.where, "refers to %.200q, which is not there", text)
	}
	where := home.root.where + fragment
	if known := w.known(where); known != nil {
		return known, nil
	}
	found := w.add(where, n.depth+1, value, home)
	return found, w.visit(found)
}

// known is the subschema that stands somewhere, if it was seen.
func (w *walker) known(where string) *node {
	if w.at == nil {
		w.at = make(map[string]*node, len(w.nodes))
		for _, n := range w.nodes {
			w.at[n.where] = n
		}
	}
	return w.at[where]
}

// pointer is a JSON pointer.
func pointer(path []string) string {
	var out strings.Builder
	for _, step := range path {
		out.WriteString("/" + escape(step))
	}
	return out.String()
}

// at is the value that a JSON pointer leads to.
func at(value any, pointer string) (any, bool) {
	for _, step := range strings.Split(pointer, "/")[1:] {
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		switch v := value.(type) {
		case map[string]any:
			next, ok := v[step]
			if !ok {
				return nil, false
			}
			value = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			value = v[i]
		default:
			return nil, false
		}
	}
	return value, true
}

func escape(step string) string {
	return strings.ReplaceAll(strings.ReplaceAll(step, "~", "~0"), "/", "~1")
}
