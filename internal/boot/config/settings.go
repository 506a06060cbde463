package config

import (
	"slices"
	"strings"
	"time"
)

// setting is one thing that can be configured. Its flag is its key with dashes,
// its variable LEAT_ and the key in capitals; alias is a second variable, by
// which other Kafka tools know it.
type setting struct {
	key    string // path in the configuration file
	flag   string // "" when it is the key with dashes
	alias  string
	value  any // default, and so the kind: string, int, bool, duration, list
	secret bool
	roles  string // which programs have it; "" all
	usage  string
	only   string // the commands of leat that have the flag, comma-separated; "" all
}

// of reports whether a command of leat has the setting's flag for itself.
func (s setting) of(command string) bool {
	return s.only != "" && slices.Contains(strings.Split(s.only, ","), command)
}

func (s setting) flagName() string {
	if s.flag != "" {
		return s.flag
	}
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.key)
}

func (s setting) variable() string {
	return "LEAT_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(s.key))
}

// has reports whether a program has the setting.
func (s setting) has(role string) bool {
	return s.roles == "" || strings.Contains(" "+s.roles+" ", " "+role+" ")
}

// settings is every setting of every program.
func settings() []setting {
	return append(kafkaSettings(), []setting{
		{key: "prefix", value: "", usage: "prefix of every topic name"},
		{key: "replication-factor", value: 0, roles: "router", usage: "replicas of topics that the router creates; 0 takes the broker's default"},
		{key: "slot", value: "", roles: "router", usage: "name of this worker, unique and stable over restarts (default: the host name)"},
		{key: "group", value: "", roles: "router executor", usage: "consumer group (default: leat.router, leat.executor.<queue>)"},
		{key: "types", value: []string{}, roles: "router", usage: "workflow types to decide, comma-separated (default: every deployed one)"},
		{key: "data", value: "", roles: "router projector", usage: "directory of the local copy, which is rebuilt from Kafka when it is lost (default: below the user's cache directory)"},
		{key: "http", value: "127.0.0.1:8470", roles: "projector", usage: "address of the query API; port 0 takes a free one"},
		{key: "gateway.http", flag: "http", value: "", roles: "executor", usage: "address where workers poll for tasks over HTTP; port 0 takes a free one (default: none; off loopback it needs a token)"},
		{key: "gateway.token", flag: "http-token", value: "", secret: true, roles: "executor leat", only: "dev", usage: "bearer token that workers have to send; a file is safer, because others can read a process's flags"},
		{key: "gateway.token-file", flag: "http-token-file", value: "", roles: "executor leat", only: "dev", usage: "file that holds the bearer token that workers have to send"},
		{key: "http-host", value: []string{}, roles: "router projector executor leat", only: "dev,mcp serve", usage: "host names, comma-separated, that HTTP addresses answer to besides localhost and loopback addresses (default: on loopback none, elsewhere any)"},
		{key: "exec", value: []string{}, roles: "executor", usage: "run a program for a task: 'queue.task=program arg…'; may be repeated"},
		{key: "http-allow", value: []string{}, roles: "executor leat", only: "dev", usage: "hosts that http calls may reach, comma-separated: api.example.com, *.example.com, host:8443, http://host (default: none)"},
		{key: "http-allow-private", value: false, roles: "executor leat", only: "dev", usage: "allow these hosts to resolve to private and loopback addresses"},
		{key: "mcp-allow", value: []string{}, roles: "executor leat", only: "dev", usage: "hosts of MCP servers that may be called, comma-separated: tools.example.com, *.example.com, host:8443, http://host (default: none)"},
		{key: "mcp-allow-private", value: false, roles: "executor leat", only: "dev", usage: "allow these hosts to resolve to private and loopback addresses"},
		{key: "mcp-command", value: []string{}, roles: "executor leat", only: "dev", usage: "a command that speaks MCP, for subsystems with stdio: NAME; no shell: 'NAME=/path arg…'; may be repeated"},
		{key: "mcp-env", value: []string{}, secret: true, roles: "executor leat", only: "dev", usage: "a variable of such a command, which has no others: NAME=VAR=value, or NAME=VAR for the value that VAR has here; may be repeated"},
		{key: "mcp-routing", value: "round_robin", roles: "executor leat", only: "dev", usage: "how calls are spread over the subsystems that offer a tool: round_robin, least_loaded or weighted"},
		{key: "node-id", value: "", roles: "executor", usage: "name of this worker among the nodes (default: host name and process id)"},
		{key: "capability", value: []string{}, roles: "executor leat", only: "dev", usage: "what tasks may require of this node, such as gpu; may be repeated"},
		{key: "capacity", value: []string{}, roles: "executor leat", only: "dev", usage: "how much of what tasks take there is: gpu=1,memory_mb=8192"},
		{key: "concurrency", value: 0, roles: "executor", usage: "tasks at the same time; 0 takes 64"},
		{key: "drain-timeout", value: 20 * time.Second, roles: "executor", usage: "how long running tasks may go on after SIGTERM"},
		{key: "ops-addr", value: "", roles: "router projector executor", usage: "address of /metrics, /livez, /readyz and /version; port 0 takes a free one (default: router 127.0.0.1:8471, projector :8472, executor :8473)"},
		{key: "mcp.http", flag: "http", value: "127.0.0.1:8475", roles: "leat", only: "mcp serve", usage: "address where MCP clients call; port 0 takes a free one (off loopback it needs --token-file)"},
		{key: "mcp.token-file", flag: "token-file", value: "", roles: "leat", only: "mcp serve", usage: "file that says whose bearer tokens are accepted: lines of a name and the SHA-256 of a token, in hexadecimal"},
		{key: "log.level", value: "info", usage: "debug, info, warn or error"},
		{key: "log.format", value: "auto", usage: "json, text, or auto: text on a terminal"},
		{key: "api", value: "http://127.0.0.1:8470", roles: "leat", usage: "address of a projector"},
		{key: "timeout", value: 30 * time.Second, roles: "leat", usage: "how long a command may take; 0 for no limit"},
	}...)
}

func kafkaSettings() []setting {
	return []setting{
		{key: "kafka.brokers", flag: "brokers", alias: "KAFKA_BROKERS", value: []string{"127.0.0.1:9092"}, usage: "host:port of Kafka brokers, comma-separated"},
		{key: "kafka.client-id", alias: "KAFKA_CLIENT_ID", value: "", usage: "client id of this program for Kafka (default: leat-<role>)"},
		{key: "kafka.tls.enabled", alias: "KAFKA_TLS_ENABLED", value: false, usage: "use TLS for Kafka"},
		{key: "kafka.tls.ca-file", alias: "KAFKA_TLS_CAFILEPATH", value: "", usage: "PEM file of the authorities to trust (default: the system's)"},
		{key: "kafka.tls.cert-file", alias: "KAFKA_TLS_CERTFILEPATH", value: "", usage: "PEM file of the client certificate"},
		{key: "kafka.tls.key-file", alias: "KAFKA_TLS_KEYFILEPATH", value: "", usage: "PEM file of the client certificate's key"},
		{key: "kafka.sasl.mechanism", alias: "KAFKA_SASL_MECHANISM", value: "", usage: "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"},
		{key: "kafka.sasl.username", alias: "KAFKA_SASL_USERNAME", value: "", usage: "user name for Kafka"},
		{key: "kafka.sasl.password", alias: "KAFKA_SASL_PASSWORD", value: "", secret: true, usage: "password for Kafka; a file is safer, because others can read a process's flags"},
		{key: "kafka.sasl.password-file", alias: "KAFKA_SASL_PASSWORD_FILE", value: "", usage: "file that holds the password for Kafka"},
	}
}
