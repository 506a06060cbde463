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
	ExitUnavailable = 6 // or too late
	ExitWorkflow    = 7 // the workflow itself failed
	ExitInterrupted = 130
)

// The codes. The letter says where to look: U usage, C configuration, K Kafka,
// D data directory, F definition file, W workflow, A the projector's API, G the
// gateway for workers, S schedule, X the engine itself.
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
	ReplayDiffers     Code = "LEAT-W020"

	ScheduleMissing Code = "LEAT-S001"
	ScheduleExists  Code = "LEAT-S002"
	ScheduleInvalid Code = "LEAT-S003"

	ProjectorAway Code = "LEAT-A001"
	BadAnswer     Code = "LEAT-A002"
	BadRequest    Code = "LEAT-A003"
	TooManyFollow Code = "LEAT-A004"
	ForeignHost   Code = "LEAT-A005"

	LeaseForged   Code = "LEAT-G001"
	LeaseOver     Code = "LEAT-G002"
	QueueMissing  Code = "LEAT-G003"
	TooManyPolls  Code = "LEAT-G004"
	TokenWrong    Code = "LEAT-G005"
	QueueServed   Code = "LEAT-G006"
	GatewayAway   Code = "LEAT-G007"
	ResultRefused Code = "LEAT-G008"

	TimedOut    Code = "LEAT-X001"
	Interrupted Code = "LEAT-X002"
	Internal    Code = "LEAT-X003"
)

// Kind is what the registry knows of a code.
type Kind struct {
	Exit  int
	Title string // for the documentation
	Fix   string // when the place that reports knows nothing better
}

//nolint:gochecknoglobals // a table that never changes
var registry = map[Code]Kind{
	Usage:          {ExitUsage, "The command line is wrong", "run the command with --help"},
	UnknownCommand: {ExitUsage, "There is no such command", "leat --help lists the commands"},
	BadJSON:        {ExitUsage, "An argument is not the JSON that it should be", "quote JSON for the shell: --input '{\"amount\": 12}', or read it from a file: --input @order.json"},
	NoSuchFile:     {ExitUsage, "A file cannot be read", "check the path"},

	UnknownSetting: {ExitUsage, "The configuration file has a key that nobody reads", "correct or remove it"},
	BadSetting:     {ExitUsage, "A setting has a value that it cannot have", "correct it"},
	BadConfigFile:  {ExitUsage, "The configuration file cannot be read", "it is YAML; leat.yaml in the current directory is read when --config is not given"},

	KafkaAway:      {ExitUnavailable, "No Kafka broker answers", "start one with `leat dev`, or name yours with --brokers or KAFKA_BROKERS"},
	KafkaAuth:      {ExitAuth, "Kafka refuses the credentials or the permission", "set KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, or ask for the ACL"},
	TopicShape:     {ExitConflict, "A topic is not of the shape that Leat needs", "see the fix of each topic above; Leat never changes a topic"},
	TopicMissing:   {ExitNotFound, "A topic is missing", "deploy the definition first: leat def deploy FILE"},
	AddressTaken:   {ExitConflict, "Another program listens on the address", "stop it, or choose another port (0 takes a free one)"},
	AddressRefused: {ExitError, "The address cannot be listened on", "use a loopback address such as 127.0.0.1:0"},

	DirectoryLocked: {ExitConflict, "Another process holds the data directory", "stop that process, or use another directory"},
	DirectoryNewer:  {ExitConflict, "A newer version wrote the data directory", "use that version, or another directory"},
	DirectoryBad:    {ExitError, "The data directory cannot be used", "check its path, permissions and free space"},

	DefinitionInvalid:  {ExitError, "A definition does not validate", "correct what is named; `leat def validate FILE` checks without a broker"},
	DefinitionMissing:  {ExitNotFound, "There is no such definition", "leat def list shows what is deployed; leat def deploy FILE deploys"},
	DefinitionConflict: {ExitConflict, "This version is deployed with other content", "a deployed version never changes: raise `version` in the file"},
	DefinitionsDiffer:  {ExitError, "Two definitions differ", "see the lines above"},
	MappingInvalid:     {ExitError, "Instances cannot be moved with this mapping", "correct what is named: --map OLD=NEW names the state that stands for another"},
	CasesFailed:        {ExitError, "Test cases failed", "see the lines above"},

	InstanceMissing:   {ExitNotFound, "There is no such instance", "leat list --type TYPE shows what there is"},
	InstanceForgotten: {ExitNotFound, "The retention of the instance is over", "leat history TYPE KEY --brokers ADDRESS reads its events from the topic"},
	WorkflowFailed:    {ExitWorkflow, "The workflow ended in failure", "leat history TYPE KEY shows how it came to that"},
	CommandRejected:   {ExitError, "The router rejected the command", "see the reason"},
	CommandConflict:   {ExitConflict, "The instance is not where the command expected it", "read the instance again and decide anew"},
	ReplayDiffers:     {ExitError, "A history would be another one", "see the difference above"},
	CommandInvalid:    {ExitUsage, "The command cannot be sent as it is", "correct the field that is named"},

	ScheduleMissing: {ExitNotFound, "There is no such schedule", "leat schedule list shows what there is"},
	ScheduleExists:  {ExitConflict, "There is a schedule of that name", "leat schedule apply changes it; leat schedule get shows it"},
	ScheduleInvalid: {ExitUsage, "This cannot be a schedule", "correct the field that is named; leat schedule next shows when it would fire"},

	ProjectorAway: {ExitUnavailable, "The projector does not answer", "start one (`leat dev`, or bin/projector), or name yours with --api"},
	BadAnswer:     {ExitError, "The projector gave an answer that cannot be used", "check that --api points to a projector of this version"},
	BadRequest:    {ExitUsage, "The request cannot be understood", "/openapi.json describes what can be asked"},
	TooManyFollow: {ExitUnavailable, "Too many requests wait for news of instances", "poll instead, or ask another projector"},
	ForeignHost:   {ExitUsage, "The request is for another host", "use http://127.0.0.1 or http://localhost, or name the host with --http-host"},

	LeaseForged:   {ExitAuth, "The gateway has not given out this lease", "send the lease as the poll answered it, to the queue that was polled"},
	LeaseOver:     {ExitConflict, "The lease is over", "drop the work, or what it has changed: the task is done, or is given to somebody else under the same idempotency key; poll for another"},
	QueueMissing:  {ExitNotFound, "There is no such queue", "check its name, or deploy the definition first (leat def deploy FILE) and poll again"},
	TooManyPolls:  {ExitUnavailable, "Too many polls wait, or too many queues are polled", "wait for an answer before the next poll"},
	TokenWrong:    {ExitAuth, "The gateway wants a bearer token", "send the header: Authorization: Bearer TOKEN, with the token of --http-token-file"},
	QueueServed:   {ExitConflict, "The process runs the tasks of the queue by itself", "poll another executor --http, or give the tasks another queue"},
	GatewayAway:   {ExitUnavailable, "The gateway is starting or stopping", "poll again in a moment"},
	ResultRefused: {ExitError, "The result of a task cannot be recorded", "keep large content elsewhere and return a reference"},

	TimedOut:    {ExitUnavailable, "Not done in time", "raise --timeout, and check that the workers run"},
	Interrupted: {ExitInterrupted, "Stopped by the user", ""},
	Internal:    {ExitError, "Something that should not happen", "please report it with the output of the same command and LEAT_LOG_LEVEL=debug"},
}

// Codes lists every code in order, for the documentation and the tests.
func Codes() []Code { return slices.Sorted(maps.Keys(registry)) }

// Describe is what the registry knows of a code.
func Describe(c Code) Kind { return registry[c] }
