// Package devkafka is the embedded broker of `leat dev` and of the tests: kfake,
// an implementation of the Kafka protocol in one process, with a data directory
// that survives a restart and a kill -9.
//
// # What it adds to kfake
//
//   - a lock, so that two processes never write one directory ([ErrLocked]);
//   - a format number, so that an older program refuses what a newer one wrote
//     ([VersionError]);
//   - recovery after a crash (recover.go): kfake ends a transaction partition by
//     partition, and treats what was open when it died as aborted without saying
//     so in the log. Left alone, a kill between two partitions would commit half
//     a transaction, and the next commit of the same producer would bring aborted
//     records back to life. Recovery writes the markers that are missing, all
//     commit or all abort, before kfake opens the directory;
//   - it refuses batches whose count is not that of their records (refuse.go), as
//     Apache Kafka does: kfake believes it;
//   - no compaction: kfake's cleaner drops the markers of aborted transactions and
//     keeps them in its list of aborted ones, so that later commits of the same
//     producer become invisible; it may also drop the committed record of a key in
//     favour of an uncommitted one. Compacted topics therefore grow, like the others.
//
// # What it is not for
//
// One broker, no replication, no fsync on the way: it survives the death of the
// process, not the death of the machine. Do not run production on it.
package devkafka
