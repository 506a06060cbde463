package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/leat-io/leat/internal/problem"
	"github.com/leat-io/leat/internal/rest"
	"github.com/leat-io/leat/pkg/events"
)

// QueuePath names a queue in a path.
type QueuePath struct {
	Queue string `path:"queue" doc:"The part of its tasks' names before the first dot."`
}

type pollInput struct {
	QueuePath
	Body *struct {
		MaxTasks int    `json:"max_tasks,omitempty" minimum:"1" maximum:"100" default:"1" doc:"How many tasks to take at most. An answer ends with the task whose input takes the total to 2 MiB or more."`
		Wait     string `json:"wait,omitempty" default:"30s" doc:"How long to wait for the first one: a duration such as 500ms or 30s, at most 60s."`
	}
}

// Polled is the answer of a poll.
type Polled struct {
	Tasks []Task `json:"tasks" doc:"Empty when none came in time: poll again."`
}

// Task is one attempt of work to do.
type Task struct {
	Lease            string                   `json:"lease" doc:"Proves that the attempt was given to you: send it with heartbeat, complete and fail."`
	TaskID           events.UUID              `json:"task_id" doc:"The same for every attempt."`
	TaskName         string                   `json:"task_name"`
	Attempt          int32                    `json:"attempt" doc:"1, 2, 3, …"`
	IdempotencyKey   string                   `json:"idempotency_key" doc:"The same for every attempt: pass it on to whatever the task changes."`
	Input            json.RawMessage          `json:"input" doc:"Any JSON; null when there is none."`
	HeartbeatDetails json.RawMessage          `json:"heartbeat_details,omitempty" doc:"The newest details from heartbeats of earlier attempts."`
	WorkflowType     string                   `json:"workflow_type"`
	InstanceID       events.UUID              `json:"instance_id"`
	InstanceKey      string                   `json:"instance_key,omitempty" doc:"Business key of the instance."`
	Invocation       string                   `json:"invocation" doc:"Id of the invocation in the definition."`
	Priority         events.TaskPriority      `json:"priority"`
	Delivery         events.DeliveryGuarantee `json:"delivery_guarantee"`
	ScheduledAt      time.Time                `json:"scheduled_at"`
	CorrelationID    events.UUID              `json:"correlation_id"`
	HeartbeatTimeout int64                    `json:"heartbeat_timeout_ms" doc:"The lease ends, and the task is issued again, when no heartbeat comes for this long. Send one every third of it."`
	StartToClose     int64                    `json:"start_to_close_ms,omitempty" doc:"How long the attempt may take; absent when there is no limit."`
}

type heartbeatInput struct {
	QueuePath
	Body struct {
		Lease   string          `json:"lease" minLength:"1" maxLength:"256" doc:"Of the task."`
		Details json.RawMessage `json:"details,omitempty" doc:"How far the attempt has come, for the next one: any JSON, at most 64 KiB. When absent, the details of earlier heartbeats are kept."`
	}
}

type heartbeatOutput struct {
	Body struct {
		HeartbeatTimeout int64 `json:"heartbeat_timeout_ms" doc:"The next heartbeat has to come within this time."`
	}
}

type completeInput struct {
	QueuePath
	Body struct {
		Lease  string          `json:"lease" minLength:"1" maxLength:"256" doc:"Of the task."`
		Result json.RawMessage `json:"result,omitempty" doc:"Any JSON, at most 256 KiB."`
	}
}

type failInput struct {
	QueuePath
	Body struct {
		Lease      string `json:"lease" minLength:"1" maxLength:"256" doc:"Of the task."`
		Code       string `json:"code,omitempty" maxLength:"256" default:"TASK_FAILED" doc:"Stable, such as CARD_DECLINED: definitions can react to it."`
		Message    string `json:"message" maxLength:"4096" doc:"One sentence for operators. It is kept in the history: no secrets."`
		RetryAfter int64  `json:"retry_after_ms,omitempty" minimum:"0" maximum:"86400000" doc:"The shortest wait before the next attempt, up to the longest wait of the task's retry policy."`
		Retryable  *bool  `json:"retryable,omitempty" doc:"Whether another attempt may succeed; true when absent. The definition says how many there are."`
	}
}

type reportOutput struct {
	Body Reported
}

// Reported says that a report is durable. What follows from it is the router's.
type Reported struct {
	TaskID  events.UUID      `json:"task_id"`
	Attempt int32            `json:"attempt"`
	State   events.TaskState `json:"state" enum:"completed,failed"`
}

// newHandler builds the routes.
func newHandler(g *Gateway) (http.Handler, error) {
	mux := http.NewServeMux()
	api := rest.API(mux, "Leat gateway for workers",
		"Take tasks from a queue, send heartbeats, and report how they ended. A task runs at least once; its retries and timeouts are the definition's.")
	api.UseMiddleware(introduce)
	lease := []int{http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	polled := api.OpenAPI().Components.Schemas.Schema(typeOf[Polled](), true, "Polled")
	huma.Register(api, huma.Operation{
		OperationID: "poll", Method: http.MethodPost, Path: "/v1/queues/{queue}/poll", Summary: "Take tasks, and wait for the first one",
		Description: "Every task in the answer is yours: send heartbeats, and report how it ended. A poll that is cut off takes nothing.",
		Errors:      []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable},
		Responses:   map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"application/json": {Schema: polled}}}},
	}, g.poll)
	huma.Register(api, huma.Operation{
		OperationID: "heartbeat", Method: http.MethodPost, Path: "/v1/queues/{queue}/heartbeat", Summary: "Report that an attempt is still running",
		MaxBodyBytes: rest.MaxBody, Errors: lease,
	}, g.heartbeat)
	huma.Register(api, huma.Operation{
		OperationID: "complete", Method: http.MethodPost, Path: "/v1/queues/{queue}/complete", Summary: "Report that a task is done",
		Description:  "The answer comes when the report is durable. The same report may be repeated.",
		MaxBodyBytes: rest.MaxBody, Errors: lease,
	}, g.complete)
	huma.Register(api, huma.Operation{
		OperationID: "fail", Method: http.MethodPost, Path: "/v1/queues/{queue}/fail", Summary: "Report that a task has failed",
		Description:  "The answer comes when the report is durable. The same report may be repeated.",
		MaxBodyBytes: rest.MaxBody, Errors: lease,
	}, g.fail)
	if err := rest.Describe(mux, api); err != nil {
		return nil, err
	}
	mux.HandleFunc("/", rest.NotFound)
	return g.authenticate(rest.Guard(mux, nil)), nil
}

// authenticate passes on requests that carry the token. The description needs no token.
func (g *Gateway) authenticate(next http.Handler) http.Handler {
	if g.config.Token == "" {
		return next
	}
	want := sha256.Sum256([]byte(g.config.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(strings.TrimSpace(token)))
		if r.URL.Path != "/openapi.json" && (!strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1) {
			g.config.Metrics.Refused(string(problem.TokenWrong))
			w.Header().Set("WWW-Authenticate", `Bearer realm="leat"`)
			why := "the Authorization header has another token"
			if scheme == "" {
				why = "there is no Authorization header"
			} else if !strings.EqualFold(scheme, "Bearer") {
				why = "the Authorization header is not of the form: Bearer TOKEN"
			}
			rest.New(http.StatusUnauthorized, problem.TokenWrong, "The request is not allowed", why, "").Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

type clientKey struct{}

// introduce gives handlers the address of the client, without its port.
func introduce(ctx huma.Context, next func(huma.Context)) {
	next(huma.WithValue(ctx, clientKey{}, clientOf(ctx.RemoteAddr())))
}

func clientFrom(ctx context.Context) string {
	client, _ := ctx.Value(clientKey{}).(string)
	return client
}

// refused counts problems on their way out.
func (g *Gateway) refused(err error) error {
	if known, ok := errors.AsType[*rest.Problem](err); ok {
		g.config.Metrics.Refused(string(known.Code))
	}
	return err
}
