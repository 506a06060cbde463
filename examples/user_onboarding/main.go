// User_onboarding takes new users from an account to a greeting, with people who
// confirm, who do not, and who have to agree. user_onboarding.yaml is the
// workflow, handlers.go its tasks, people.go what people do.
package main

import (
	_ "embed"

	"github.com/leat-io/leat/examples/internal/batch"
)

//go:embed user_onboarding.yaml
var source []byte

func main() { batch.Main(example()) }

func example() batch.Batch {
	return batch.Batch{
		Name: "user_onboarding", About: "one step after the other, with mails, a deadline and a person who decides",
		File: "user_onboarding.yaml", Source: source,
		Instances: users, Handle: handle, Others: sales,
		Ends: []batch.End{
			{State: "onboarded", Meaning: "has access and a greeting"},
			{State: "never_confirmed", Meaning: "did not confirm, not even after the reminder"},
			{State: "refused", Meaning: "sales did not agree to the plan"},
			{State: "address_taken", Meaning: "has an account already"},
		},
	}
}
