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

// Arrows point down: what stands higher may import what stands lower, never the
// other way. A path that ends in /... stands for a whole tree; the longest match wins.
var layers = map[string]layer{
	// What people import. It decides and describes; it does no I/O.
	"pkg/events":      {pure: true},
	"pkg/topics":      {pure: true, inside: "pkg/events"},
	"pkg/fsm":         {pure: true, inside: "pkg/events"},
	"pkg/spi/...":     {inside: "pkg/events"},
	"pkg/spi/spitest": {inside: "pkg"},

	// What people import and that talks to Kafka.
	"pkg/client":   {inside: "pkg internal/facts internal/kafka internal/avro internal/definition internal/problem internal/schedule"},
	"pkg/executor": {inside: "pkg internal/executor internal/kafka internal/avro"},

	"schemas": {},

	// One home for each family of libraries.
	"internal/kafka":      {inside: "pkg", outside: "github.com/twmb/franz-go"},
	"internal/avro":       {inside: "pkg schemas", outside: "github.com/linkedin/goavro/v2 github.com/twmb/avro"},
	"internal/store":      {inside: "pkg", outside: "github.com/cockroachdb/pebble/v2"},
	"internal/cel":        {inside: "pkg", outside: "cel.dev/cel-go"},
	"internal/definition": {inside: "pkg schemas internal/cel", outside: "go.yaml.in/yaml/v3 github.com/santhosh-tekuri/jsonschema/v6"},
	"internal/devkafka":   {outside: "github.com/twmb/franz-go/pkg/kfake github.com/twmb/franz-go/pkg/kmsg"},
	"internal/httpcall":   {inside: "pkg", outside: "code.dny.dev/ssrf"}, // the calls of definitions
	"internal/mcp":        {inside: "pkg", outside: "github.com/modelcontextprotocol/go-sdk"},
	"internal/memory":     {inside: "pkg"},
	"internal/bus":        {inside: "pkg internal/kafka internal/avro"}, // the contracts on Kafka

	// Services: each one job over the homes above.
	"internal/schedule": {inside: "pkg", outside: "github.com/robfig/cron/v3", pure: true},
	"internal/registry": {inside: "pkg internal/kafka internal/avro internal/definition internal/schedule"},
	"internal/tui":      {inside: "pkg internal/definition", outside: "charm.land/bubbletea/v2"},
	"internal/draw":     {inside: "pkg"},
	"internal/problem":  {inside: "pkg"},
	"internal/rest":     {inside: "pkg internal/problem", outside: "github.com/danielgtaylor/huma/v2"},
	"internal/facts":    {pure: true, inside: "pkg/events"},

	// The three workers and what they share. They reach a library only through its home.
	"internal/shard":     {inside: "pkg internal/kafka"},
	"internal/router":    {inside: "pkg internal/facts internal/shard internal/kafka internal/store internal/avro internal/registry internal/schedule", outside: "golang.org/x/sync/errgroup"},
	"internal/projector": {inside: "pkg internal/shard internal/kafka internal/store internal/avro internal/definition internal/registry internal/problem internal/rest", outside: "github.com/danielgtaylor/huma/v2"},
	"internal/executor":  {inside: "pkg internal/kafka internal/avro internal/shard internal/problem"},
	"internal/gateway":   {inside: "pkg internal/executor internal/kafka internal/problem internal/rest", outside: "github.com/danielgtaylor/huma/v2"},
	"internal/console":   {},

	// The composition root: the only place that knows all of the above.
	"internal/boot": {
		inside:  "pkg internal schemas",
		outside: "github.com/knadh/koanf github.com/prometheus/client_golang github.com/spf13/cobra github.com/spf13/pflag",
	},

	"internal/archtest": {},

	// Programs. The three workers are twenty lines each.
	"cmd/router":    {inside: "internal/boot"},
	"cmd/projector": {inside: "internal/boot"},
	"cmd/executor":  {inside: "internal/boot"},
	"cmd/leat/...": {
		inside:  "pkg internal schemas",
		outside: "github.com/spf13/cobra github.com/spf13/pflag github.com/jedib0t/go-pretty/v6 github.com/schollz/progressbar/v3 go.yaml.in/yaml/v3",
	},

	// Looser: an example shows what users do, so it uses what users can use, and
	// starts workers the way the programs do; a test may reach for anything of ours.
	"examples/...": {inside: "pkg internal/boot examples", outside: "github.com/schollz/progressbar/v3"},
	"test/...":     {inside: "pkg internal schemas test examples", outside: "github.com/twmb/franz-go"},
	"test/drawn":   {inside: "pkg internal/definition", outside: "pgregory.net/rapid"},
	"bench/...":    {inside: "pkg internal schemas test examples bench", outside: "github.com/twmb/franz-go golang.org/x/sync/errgroup"},
}

// impure is what a pure package must not import of the standard library: it
// takes time, ids and input as data. (time itself is allowed for its types;
// golangci-lint forbids its clock.)
const impure = "net os database/sql syscall log math/rand math/rand/v2 crypto/rand"
