package kafka

import "time"

// closingTime is how long a client may take to say good-bye to its brokers.
const closingTime = 2 * time.Second

// closeWithin closes a client and waits for that, but not for ever: a broker that
// does not answer keeps a client's requests open, and a program that was told to end
// must not wait for it. What is left ends with the broker's answer, the client's
// own timeouts, or the process.
func closeWithin(closing func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		closing()
	}()
	timer := time.NewTimer(closingTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
