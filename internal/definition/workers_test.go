package definition

import (
	"strings"
	"testing"
)

const workersFile = `{
  "payments.charge": {"input": {"type": "object", "required": ["amount", "card"], "properties": {
    "amount": {"type": "integer"}, "card": {"type": "string"}, "note": {"type": ["string", "null"]}, "rate": {"type": "number"},
    "lines": {"type": ["array", "null"], "items": {"$ref": "#/$defs/line"}}, "any": {},
    "to": {"anyOf": [{"$ref": "#/$defs/line"}, {"type": "null"}]}
  }, "$defs": {"line": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}, "next": {"$ref": "#/$defs/line"}}}}}},
  "mail.*": {"input": {"type": "object", "properties": {"text": {"type": "string"}}}},
  "free.form": {"input": true}
}`

const ordered = `leat: v1
type: order
version: 1
input:
  type: object
  properties:
    amount: {type: integer}
    name: {type: string}
    card: {type: object, properties: {number: {type: string}, cvc: {type: integer}}}
data: {total: {type: double}, label: {type: string}}
initial: a
states:
  a:
    tasks:
      t: {task: TASK, input: INPUT}
    onDone: z
    onError: z
  z: {type: final}
`

func TestCompareWorkers(t *testing.T) {
	workers, err := ReadWorkers([]byte(workersFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ task, input, want string }{
		{"payments.charge", "{amount: input.amount, card: \"'x'\", note: null, rate: data.total, any: {a: [1]}}", ""},
		{"payments.charge", "{Amount: 3, CARD: input.card.number, lines: [{sku: input.name}], to: null}", ""},
		{"payments.charge", "{amount: data.total, card: data.label}", ""}, // may be whole
		{"payments.charge", "{amount: input.amount + 1, card: \"string(input.amount)\"}", ""},
		{"payments.charge", "{amount: data.label, card: input.card}", "error: the handler of payments.charge takes amount as integer, and is given string; " +
			"error: the handler of payments.charge takes card as string, and is given object"},
		{"payments.charge", "{amount: input.card.cvc, card: input.card.cvc}", "error: the handler of payments.charge takes card as string, and is given integer"},
		{"payments.charge", "{amount: true}", "warning: the handler of payments.charge wants card, which the input does not have: it is zero there (omitempty says that it may be missing); " +
			"error: the handler of payments.charge takes amount as integer, and is given boolean"},
		{"payments.charge", "{amount: 1, card: \"'x'\", colour: 1, to: {sku: \"'s'\", next: {sku: 7}}}", "warning: the handler of payments.charge has no field colour: it ignores it; " +
			"error: the handler of payments.charge takes to.next.sku as string, and is given integer"},
		{"payments.charge", "{amount: 1, card: \"'x'\", lines: [{}, {sku: 1}]}", "warning: the handler of payments.charge wants lines[0].sku, which the input does not have: it is zero there (omitempty says that it may be missing); " +
			"error: the handler of payments.charge takes lines[1].sku as string, and is given integer"},
		{"payments.charge", "[1]", "error: the handler of payments.charge takes its input as object, and is given array"},
		{"payments.charge", "input", "error: the handler of payments.charge takes card as string, and is given object"},
		{"payments.charge", "null", "warning: the handler of payments.charge wants amount, which the input does not have: it is zero there (omitempty says that it may be missing); " +
			"warning: the handler of payments.charge wants card, which the input does not have: it is zero there (omitempty says that it may be missing)"},
		{"mail.send", "{text: 1}", "error: the handler of mail.send takes text as string, and is given integer"},
		{"payments.refund", "{a: 1}", "warning: task payments.refund has no handler among the workers, who have others of queue payments"},
		{"free.form", "{a: 1}", ""},
		{"other.thing", "{a: 1}", ""},
	} {
		source := strings.NewReplacer("TASK", c.task, "INPUT", c.input).Replace(ordered)
		m, findings, err := Parse("order.yaml", []byte(source))
		if err != nil {
			t.Fatalf("%s: %v %v", c.input, findings, err)
		}
		var got []string
		for _, f := range CompareWorkers(m, workers) {
			if f.Rule != "workers" || f.File != "order.yaml" || f.Line != 15 {
				t.Errorf("%s: %v", c.input, f)
			}
			got = append(got, f.Severity+": "+f.Text)
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.task, c.input, text, c.want)
		}
	}
}

func TestReadWorkersSaysWhatItWants(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                                    `want {"queue.task": {"input": SCHEMA, "output": SCHEMA}, …}, which is the JSON of Executor.Schemas(): `,
		`{"charge": {"input": {}}}`:             `"charge" is not a task: want queue.task, or queue.*`,
		`{"a.b": {"input": {"properties": 3}}}`: `the input of "a.b" is not a JSON Schema: json: cannot unmarshal`,
	} {
		if _, err := ReadWorkers([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
