// Package leattest tests workflows as they run: with the real engine and an
// embedded broker, both in the test's own process.
//
//	func TestOrder(t *testing.T) {
//		leattest.Virtual(t, func(t *testing.T, env *leattest.Env) {
//			env.Handle("payments.charge", charge) // func(ctx context.Context, in Order) (Receipt, error)
//			env.Deploy("order.yaml")
//			_, err := env.Client().Start(t.Context(), client.StartRequest{Type: "order", Key: "order-42"})
//			…
//			env.WaitState("order", "order-42", "reminded") // thirty days later
//		})
//	}
//
// [Start] gives an engine in real time. In [Virtual] time is that of
// testing/synctest: it goes on only when nothing is left to do, and then at once
// to the next moment at which something is, so that a workflow that waits for a
// month ends in a fraction of a second, at the same moments in every run. [Cases]
// runs the cases of a definition, without an engine.
//
// Nothing has to be installed or set, and everything ends with the test. When a
// test has failed, the log holds the history of every instance, and what it
// waits for.
//
// # What it is not for
//
// One broker without replication, one router, one partition a topic: it does not
// show what happens when machines fail, nor how fast anything is.
package leattest
