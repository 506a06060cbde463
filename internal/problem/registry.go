package problem

import (
	"maps"
	"slices"
)

// Code names a kind of problem. Codes are never reused.
type Code string

// Exit codes of the programs.
const (
	ExitOK          = 0
	ExitError       = 1
	ExitUsage       = 2
	ExitNotFound    = 3
	ExitConflict    = 4
	ExitAuth        = 5
	ExitUnavailable = 6 // or timed out
	ExitWorkflow    = 7 // the workflow itself failed
	ExitInterrupted = 130
)

// The codes. The letter says where to look: U usage, C configuration, K Kafka,
// D data directory, F definition file, W workflow, A the projector's API, G the
// gateway for workers, S schedule, M MCP servers, X everything else.
const (
	Usage          Code = "LEAT-U001"
	UnknownCommand Code = "LEAT-U002"
	BadJSON        Code = "LEAT-U003"
	NoSuchFile     Code = "LEAT-U004"

	UnknownSetting Code = "LEAT-C001"
	BadSetting     Code = "LEAT-C002"
	BadConfigFile  Code = "LEAT-C003"

	KafkaAway      Code = "LEAT-K001"
	KafkaAuth      Code = "LEAT-K002"
	TopicShape     Code = "LEAT-K003"
	TopicMissing   Code = "LEAT-K004"
	AddressTaken   Code = "LEAT-K005"
	AddressRefused Code = "LEAT-K006"

	DirectoryLocked Code = "LEAT-D001"
	DirectoryNewer  Code = "LEAT-D002"
	DirectoryBad    Code = "LEAT-D003"

	DefinitionInvalid  Code = "LEAT-F001"
	DefinitionMissing  Code = "LEAT-F002"
	DefinitionConflict Code = "LEAT-F003"
	CasesFailed        Code = "LEAT-F004"
	DefinitionsDiffer  Code = "LEAT-F020"
	MappingInvalid     Code = "LEAT-F021"

	InstanceMissing   Code = "LEAT-W001"
	WorkflowFailed    Code = "LEAT-W002"
	CommandRejected   Code = "LEAT-W003"
	CommandConflict   Code = "LEAT-W004"
	CommandInvalid    Code = "LEAT-W005"
	InstanceForgotten Code = "LEAT-W006"
	ResultMisfit      Code = "LEAT-W007"
	RouterAway        Code = "LEAT-W008"
	ReplayDiffers     Code = "LEAT-W020"

	ScheduleMissing Code = "LEAT-S001"
	ScheduleExists  Code = "LEAT-S002"
	ScheduleInvalid Code = "LEAT-S003"

	SubsystemMissing Code = "LEAT-M001"
	SubsystemInvalid Code = "LEAT-M002"
	ToolMissing      Code = "LEAT-M003"
	ToolUnseen       Code = "LEAT-M004"
	Unconfirmed      Code = "LEAT-M005"

	ProjectorAway Code = "LEAT-A001"
	BadAnswer     Code = "LEAT-A002"
	BadRequest    Code = "LEAT-A003"
	TooManyFollow Code = "LEAT-A004"
	ForeignHost   Code = "LEAT-A005"

	LeaseForged    Code = "LEAT-G001"
	LeaseOver      Code = "LEAT-G002"
	QueueMissing   Code = "LEAT-G003"
	TooManyPolls   Code = "LEAT-G004"
	TokenWrong     Code = "LEAT-G005" //nolint:gosec // no credential: the code of an error
	QueueServed    Code = "LEAT-G006"
	GatewayAway    Code = "LEAT-G007"
	ResultRefused  Code = "LEAT-G008"
	LeaseElsewhere Code = "LEAT-G009"

	NodeMissing Code = "LEAT-N001"

	TimedOut    Code = "LEAT-X001"
	Interrupted Code = "LEAT-X002"
	Internal    Code = "LEAT-X003"
)

// Kind is what the registry knows of a code.
type Kind struct {
	Exit  int
	Title string // for the documentation
	Fix   string // when the place that reports has no better one
}

//nolint:gochecknoglobals // a table that never changes
var registry = map[Code]Kind{
	Usage:          {ExitUsage, "The command line is wrong", "run the command with --help"},
	UnknownCommand: {ExitUsage, "There is no such command", "leat --help lists the commands"},
	BadJSON:        {ExitUsage, "An argument is not valid JSON", "quote JSON for the shell: --input '{\"amount\": 12}', or read it from a file: --input @order.json"},
	NoSuchFile:     {ExitUsage, "A file cannot be read", "check the path"},

	UnknownSetting: {ExitUsage, "The configuration file has an unknown key", "correct or remove it"},
	BadSetting:     {ExitUsage, "A setting has an invalid value", "correct it"},
	BadConfigFile:  {ExitUsage, "The configuration file cannot be read", "it is YAML; leat.yaml in the current directory is read when --config is not given"},

	KafkaAway:      {ExitUnavailable, "No Kafka broker answers", "start one with `leat dev`, or name yours with --brokers or KAFKA_BROKERS"},
	KafkaAuth:      {ExitAuth, "Kafka refuses the credentials or the permission", "set KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, or ask for the ACL"},
	TopicShape:     {ExitConflict, "A topic does not have the settings that Leat needs", "see the fix of each topic above; Leat never changes a topic"},
	TopicMissing:   {ExitNotFound, "A topic is missing", "deploy the definition first: leat def deploy FILE"},
	AddressTaken:   {ExitConflict, "Another program listens on the address", "stop it, or choose another port (0 takes a free one)"},
	AddressRefused: {ExitError, "The address cannot be listened on", "use a loopback address such as 127.0.0.1:0"},

	DirectoryLocked: {ExitConflict, "Another process uses the data directory", "stop that process, or use another directory"},
	DirectoryNewer:  {ExitConflict, "A newer version wrote the data directory", "use that version, or another directory"},
	DirectoryBad:    {ExitError, "The data directory cannot be used", "check its path, permissions and free space"},

	DefinitionInvalid:  {ExitError, "A definition does not validate", "correct what is named; `leat def validate FILE` checks without a broker"},
	DefinitionMissing:  {ExitNotFound, "There is no such definition", "leat def list shows what is deployed; leat def deploy FILE deploys"},
	DefinitionConflict: {ExitConflict, "This version is already deployed with other content", "a deployed version never changes: raise `version` in the file"},
	DefinitionsDiffer:  {ExitError, "Two definitions differ", "see the lines above"},
	MappingInvalid:     {ExitError, "Instances cannot be moved with this mapping", "correct what is named: --map OLD=NEW maps an old state to a new one"},
	CasesFailed:        {ExitError, "Test cases failed", "see the lines above"},

	InstanceMissing:   {ExitNotFound, "There is no such instance", "leat list --type TYPE shows the instances"},
	InstanceForgotten: {ExitNotFound, "The instance is past its retention and was forgotten", "leat history TYPE KEY --brokers ADDRESS reads its events from the topic"},
	WorkflowFailed:    {ExitWorkflow, "The workflow ended in failure", "leat history TYPE KEY shows what led to it"},
	ResultMisfit:      {ExitError, "The result does not fit the type that it is read into", "read it into json.RawMessage to see the whole, and correct the type or the definition's output"},
	RouterAway:        {ExitUnavailable, "No router answers", "check that a router runs and keeps up; leat get TYPE KEY --scan reads the state topic instead, which takes longer the more instances there are"},
	CommandRejected:   {ExitError, "The router rejected the command", "see the reason"},
	CommandConflict:   {ExitConflict, "The instance is not in the state that the command expects", "read the instance again, then decide whether to send the command"},
	ReplayDiffers:     {ExitError, "A replay differs from the history", "see the difference above"},
	CommandInvalid:    {ExitUsage, "The command cannot be sent as it is", "correct the field that is named"},

	ScheduleMissing: {ExitNotFound, "There is no such schedule", "leat schedule list shows the schedules"},
	ScheduleExists:  {ExitConflict, "A schedule with this name exists", "leat schedule apply changes it; leat schedule get shows it"},
	ScheduleInvalid: {ExitUsage, "The schedule is not valid", "correct the field that is named; leat schedule next shows when it would fire"},

	SubsystemMissing: {ExitNotFound, "There is no such MCP server", "leat mcp list shows those that are registered"},
	SubsystemInvalid: {ExitUsage, "The MCP server cannot be registered as it is described", "correct what is named; leat mcp register --check FILE checks without a broker"},
	ToolMissing:      {ExitNotFound, "The MCP server lists no such tool", "leat mcp tools shows those that are listed"},
	ToolUnseen:       {ExitConflict, "Executors see the tool in more than one way, or its description is not there yet", "try again in a moment, or say which one is meant: --pin"},
	Unconfirmed:      {ExitUsage, "Nobody confirmed what was shown", "read what is shown, and confirm it with --yes"},

	ProjectorAway: {ExitUnavailable, "The projector does not answer", "start one (`leat dev`, or bin/projector), or name yours with --api"},
	BadAnswer:     {ExitError, "The projector gave an invalid answer", "check that --api points to a projector of this version"},
	BadRequest:    {ExitUsage, "The request is not valid", "/openapi.json describes the requests"},
	TooManyFollow: {ExitUnavailable, "Too many live streams are open, or too many requests wait", "poll instead, or ask another projector"},
	ForeignHost:   {ExitUsage, "The request is for another host", "use http://127.0.0.1 or http://localhost, or name the host with --http-host"},

	LeaseForged:   {ExitAuth, "The gateway has not issued this lease", "send the lease exactly as the poll returned it, to the queue that was polled"},
	LeaseOver:     {ExitConflict, "The lease is over", "drop the work: the task is done, or is given to another worker with the same idempotency key; poll for another"},
	QueueMissing:  {ExitNotFound, "There is no such queue", "check its name, or deploy the definition first (leat def deploy FILE) and poll again"},
	NodeMissing:   {ExitNotFound, "There is no such node", "leat node list shows the nodes"},
	TooManyPolls:  {ExitUnavailable, "Too many polls are waiting, or too many queues are polled", "wait for an answer before the next poll"},
	TokenWrong:    {ExitAuth, "The gateway requires a bearer token", "send the header: Authorization: Bearer TOKEN, with the token of --http-token-file"},
	QueueServed:   {ExitConflict, "The process itself runs the tasks of the queue", "poll another executor --http, or give the tasks another queue"},
	GatewayAway:   {ExitUnavailable, "The gateway is starting or stopping", "poll again in a moment"},
	ResultRefused: {ExitError, "The result of a task cannot be recorded", "keep large content elsewhere and return a reference"},
	LeaseElsewhere: {
		ExitConflict, "Another gateway process gave out the lease",
		"send heartbeats and reports to the gateway that was polled (behind a load balancer: sticky sessions); if that one has restarted, drop the work: the task is issued again",
	},

	TimedOut:    {ExitUnavailable, "Timed out", "raise --timeout, and check that the workers run"},
	Interrupted: {ExitInterrupted, "Stopped by the user", ""},
	Internal:    {ExitError, "An internal error", "please report it with the output of the same command and LEAT_LOG_LEVEL=debug"},
}

// Codes lists every code in order, for the documentation and the tests.
func Codes() []Code { return slices.Sorted(maps.Keys(registry)) }

// Describe is what the registry knows of a code.
func Describe(c Code) Kind { return registry[c] }
