// Package kafkatest gives tests a real Kafka broker.
//
// [Start] runs Apache Kafka itself, from its jars, as a process on loopback: no
// Docker, no root, about three seconds. It can be stopped, killed and restarted
// on the same port and data, so a test can see what a client sees when a broker
// goes away.
//
// [Brokers] is for tests that want whatever real broker this machine can have:
// one that already runs, a container, or Apache Kafka from its jars. A package
// that uses it more than once shares one broker among its tests:
//
//	func TestMain(m *testing.M) { os.Exit(kafkatest.Main(m)) }
//
//	func TestOrders(t *testing.T) {
//		seeds := kafkatest.Brokers(t) // skips, and says why, where there is no broker
//
// The tests of a package then share topics' namespace: name topics after the test.
//
// The package is not for unit tests: those run against the embedded broker of
// internal/devkafka, which starts in milliseconds.
package kafkatest
