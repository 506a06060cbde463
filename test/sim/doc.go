// Package sim is a seeded simulation of a whole cluster in virtual time: two
// routers, an executor, a projector and clients over the broker in memory, with
// a network that loses, delays and cuts, and a nemesis that crashes, pauses and
// moves things. When it has healed, an auditor reads the topics and checks the
// laws that hold for every history. It has nothing for other packages to use;
// README.md says how to run it and what it has found.
package sim
