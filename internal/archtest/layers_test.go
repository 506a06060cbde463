package archtest

// A layer says what a package may import besides the standard library and
// packages below its own path.
//
// Prefixes are separated by spaces and match whole path elements: "pkg" allows
// pkg/events, "internal/kafka" does not allow internal/kafkatest.
type layer struct {
	inside  string // of this module, without the module's path
	outside string // of other modules: the one list of who may use which library
	pure    bool   // nothing of the standard library that does I/O
}

// What most packages may know of pkg/: the words, and the words with the rules
// for what follows from them.
const (
	words = "pkg/events pkg/topics"
	rules = words + " pkg/fsm"
)

// rooms are trees in which every package has a row of its own, so that a new one
// is a decision. Elsewhere a row also speaks for the packages below it.
const rooms = "pkg internal/boot internal/cli internal/projector internal/spi"

// Arrows point down: what stands higher may import what stands lower, never the
// other way. A path that ends in /... stands for a whole tree; the longest match wins.
var layers = map[string]layer{
	// What people import. It decides and describes; it does no I/O.
	"pkg/events":     {pure: true},
	"pkg/topics":     {pure: true, inside: "pkg/events"},
	"pkg/fsm":        {pure: true, inside: "pkg/events internal/plain"},
	"pkg/definition": {inside: rules + " internal/definition"}, // what a definition says, as a machine of pkg/fsm

	// What people import and that talks to Kafka.
	"pkg/client": {inside: rules + " pkg/spi/node internal/nodes internal/apicall internal/endings internal/facts internal/follow internal/jsonfit internal/kafka internal/avro" +
		" internal/definition internal/problem internal/schedule"},
	"pkg/executor": {inside: words + " internal/executor internal/jsonfit internal/kafka internal/avro"},
	"pkg/leattest": {inside: rules + " pkg/client pkg/executor internal/devkafka internal/kafka internal/router internal/definition internal/simulate"},

	"schemas": {},

	// One home for each family of libraries.
	"internal/kafka":      {inside: words, outside: "github.com/twmb/franz-go"},
	"internal/avro":       {inside: words + " schemas", outside: "github.com/linkedin/goavro/v2 github.com/twmb/avro"},
	"internal/store":      {outside: "github.com/cockroachdb/pebble/v2"},
	"internal/cel":        {inside: rules, outside: "cel.dev/cel-go"},
	"internal/definition": {inside: rules + " schemas internal/cel", outside: "go.yaml.in/yaml/v3 github.com/santhosh-tekuri/jsonschema/v6"},
	"internal/devkafka":   {outside: "github.com/twmb/franz-go/pkg/kfake github.com/twmb/franz-go/pkg/kmsg"},
	"internal/egress":     {outside: "code.dny.dev/ssrf"},       // where requests may go
	"internal/httpcall":   {inside: words + " internal/egress"}, // the calls of definitions
	"internal/mcp":        {inside: words + " internal/egress internal/process", outside: "github.com/modelcontextprotocol/go-sdk"},
	"internal/mcp/serve":  {outside: "github.com/modelcontextprotocol/go-sdk"},   // the protocol's server side
	"internal/mcp/offer":  {inside: rules + " pkg/client internal/mcp/serve"},    // workflows as tools
	"internal/mcp/schema": {outside: "github.com/santhosh-tekuri/jsonschema/v6"}, // schemas that strangers wrote

	// MCP servers: which there are, how they are, and which gets a call.
	"internal/mcp/catalog":   {pure: true, inside: "pkg/events"},
	"internal/mcp/health":    {pure: true, inside: "pkg/events"},
	"internal/mcp/register":  {pure: true, inside: "pkg/events internal/mcp/catalog", outside: "go.yaml.in/yaml/v3"}, // files that describe a server
	"internal/mcp/routing":   {pure: true},
	"internal/mcp/directory": {inside: words + " internal/avro internal/kafka internal/mcp/catalog"},
	"internal/mcp/fleet": {
		inside:  words + " internal/kafka internal/mcp/catalog internal/mcp/directory internal/mcp/health internal/mcp/routing internal/mcp/wire",
		outside: "golang.org/x/time/rate",
	},
	"internal/mcp/invoke": {inside: rules + " internal/executor internal/mcp/fleet internal/mcp/schema internal/mcp/wire"}, // the calls of definitions

	// Contracts that two implementations keep, and the suite that both run.
	"internal/spi/eventbus": {pure: true},
	"internal/spi/workflow": {pure: true, inside: "pkg/events"},
	"internal/spi/spitest":  {inside: words + " internal/spi/eventbus internal/spi/workflow"}, // tests, with a clock and random names
	"internal/memory":       {inside: words + " internal/spi"},
	"internal/bus":          {inside: words + " internal/spi internal/kafka internal/avro"}, // the contracts on Kafka

	"pkg/spi/node":    {pure: true, inside: "pkg/events"},                             // which workers there are, and who gets a task
	"pkg/spi/spitest": {inside: "pkg/events pkg/spi/node"},                            // the suites of the contracts in pkg/spi
	"internal/nodes":  {inside: words + " pkg/spi/node internal/kafka internal/avro"}, // the contracts of pkg/spi/node on Kafka

	// Services: each one job over the homes above.
	"internal/schedule": {inside: words, outside: "github.com/robfig/cron/v3", pure: true},
	"internal/registry": {inside: rules + " internal/kafka internal/avro internal/definition internal/schedule"},
	"internal/tui":      {inside: rules + " internal/definition internal/simulate", outside: "charm.land/bubbletea/v2"},
	"internal/draw":     {inside: rules},
	"internal/simulate": {inside: rules + " internal/definition"}, // a machine without a broker
	"internal/problem":  {inside: words},
	"internal/rest":     {inside: words + " internal/problem", outside: "github.com/danielgtaylor/huma/v2"},
	"internal/facts":    {pure: true, inside: "pkg/events"},
	"internal/follow":   {inside: words + " internal/kafka"},                                  // records as they come, for all who wait for them
	"internal/apicall":  {inside: words},                                                      // asks an HTTP API of ours
	"internal/endings":  {inside: words},                                                      // what a projector tells of ends
	"internal/plain":    {pure: true, inside: "pkg/events"},                                   // values of expressions, and their JSON
	"internal/jsonfit":  {pure: true},                                                         // why JSON does not fit a Go type
	"internal/decide":   {pure: true, inside: "pkg/events pkg/fsm pkg/topics internal/facts"}, // what follows from an input

	// The three workers and what they share. They reach a library only through its home.
	"internal/shard":             {inside: words + " internal/kafka"},
	"internal/router":            {inside: rules + " pkg/spi/node internal/nodes internal/decide internal/shard internal/kafka internal/store internal/avro internal/registry internal/schedule", outside: "golang.org/x/sync/errgroup"},
	"internal/projector":         {inside: rules + " pkg/spi/node internal/nodes internal/endings internal/follow internal/shard internal/kafka internal/store internal/avro internal/projector/views internal/definition internal/registry internal/problem internal/rest", outside: "github.com/danielgtaylor/huma/v2"},
	"internal/projector/views":   {inside: words + " internal/endings internal/kafka internal/store internal/avro"}, // a fold and its questions
	"internal/projector/logtest": {inside: words + " internal/kafka internal/avro"},
	"internal/executor":          {inside: rules + " pkg/spi/node internal/nodes internal/kafka internal/avro internal/shard internal/problem internal/process", outside: "golang.org/x/time/rate"},
	"internal/executor/seat":     {inside: "pkg/events pkg/spi/node pkg/topics internal/kafka internal/nodes"}, // the place of a process among the nodes
	"internal/gateway":           {inside: words + " internal/executor internal/kafka internal/problem internal/rest", outside: "github.com/danielgtaylor/huma/v2"},
	"internal/process":           {}, // programs that end with this process
	"internal/console":           {},

	// The composition root: the only place that knows all of the above. What it
	// consists of is apart: settings, what is heard and seen of a process, addresses.
	"internal/boot":         {inside: rules + " internal schemas", outside: "github.com/prometheus/client_golang github.com/spf13/pflag"},
	"internal/boot/config":  {inside: "pkg/topics internal/boot/explain internal/httpcall internal/kafka internal/problem", outside: "github.com/knadh/koanf github.com/spf13/pflag"},
	"internal/boot/explain": {inside: "pkg/events internal/devkafka internal/kafka internal/problem internal/store"},
	"internal/boot/listen":  {inside: "internal/boot/explain internal/problem"},
	"internal/boot/ops":     {inside: "pkg/events internal/executor internal/gateway internal/kafka internal/mcp/fleet internal/nodes internal/problem internal/projector internal/router internal/shard", outside: "github.com/prometheus/client_golang"},

	"internal/archtest": {},

	// The command line: a room a noun, over what they share.
	"internal/cli": {
		inside:  "pkg/client pkg/events internal/boot internal/problem", // and the nouns below
		outside: "github.com/spf13/cobra github.com/spf13/pflag",
	},
	"internal/cli/output":  {inside: "pkg/events internal/problem", outside: "github.com/jedib0t/go-pretty/v6 go.yaml.in/yaml/v3"},
	"internal/cli/input":   {inside: "pkg/events pkg/fsm internal/definition internal/problem"},
	"internal/cli/session": {inside: "pkg/client pkg/events internal/boot internal/cli/output", outside: "github.com/spf13/cobra"},
	"internal/cli/def": {
		inside: rules + " pkg/client internal/boot internal/definition internal/simulate internal/draw internal/executor internal/kafka internal/problem internal/tui" +
			" internal/cli/input internal/cli/output internal/cli/session",
		outside: "github.com/spf13/cobra github.com/schollz/progressbar/v3",
	},
	"internal/cli/dev": {
		inside:  "pkg/topics internal/boot internal/devkafka internal/problem internal/cli/input internal/cli/output internal/cli/session",
		outside: "github.com/spf13/cobra",
	},
	"internal/cli/instance": {
		inside: "pkg/client pkg/events pkg/fsm internal/definition internal/facts internal/problem internal/decide" +
			" internal/cli/input internal/cli/output internal/cli/session",
		outside: "github.com/spf13/cobra",
	},
	"internal/cli/node": {
		inside:  "pkg/client pkg/events pkg/spi/node internal/problem internal/cli/output internal/cli/session",
		outside: "github.com/spf13/cobra",
	},
	"internal/cli/mcp": {
		inside: "pkg/client pkg/events internal/boot internal/mcp/catalog internal/mcp/directory internal/mcp/offer internal/mcp/register internal/mcp/serve" +
			" internal/problem internal/registry internal/cli/input internal/cli/output internal/cli/session",
		outside: "github.com/spf13/cobra",
	},
	"internal/cli/schedule": {
		inside:  "pkg/client pkg/events internal/problem internal/schedule internal/cli/input internal/cli/output internal/cli/session",
		outside: "github.com/spf13/cobra go.yaml.in/yaml/v3",
	},
	"internal/cli/task": { // a task is shown with its instance
		inside:  "pkg/client pkg/events pkg/fsm internal/problem internal/cli/input internal/cli/instance internal/cli/output internal/cli/session",
		outside: "github.com/spf13/cobra",
	},

	// Programs: twenty lines each.
	"cmd/router":    {inside: "internal/boot"},
	"cmd/projector": {inside: "internal/boot"},
	"cmd/executor":  {inside: "internal/boot"},
	"cmd/leat":      {inside: "internal/cli"},

	// An example shows what users do, so it uses what users can use, and so do its
	// tests. A test of ours may reach for anything of ours.
	"examples/...": {inside: "pkg examples", outside: "github.com/schollz/progressbar/v3"},
	"test/...":     {inside: "pkg internal schemas test examples", outside: "github.com/twmb/franz-go"},
	"test/mcp":     {inside: "pkg internal test", outside: "github.com/modelcontextprotocol/go-sdk"},
	"test/drawn":   {inside: "pkg internal/definition", outside: "pgregory.net/rapid"},
	"bench/...":    {inside: "pkg internal schemas test examples bench", outside: "github.com/twmb/franz-go golang.org/x/sync/errgroup"},
	"bench/mcp":    {inside: "pkg internal test bench", outside: "github.com/modelcontextprotocol/go-sdk"},
}

// impure is what a pure package must not import of the standard library: it
// takes time, ids and input as data. (time itself is allowed for its types;
// golangci-lint forbids its clock.)
const impure = "net os database/sql syscall log math/rand math/rand/v2 crypto/rand"
