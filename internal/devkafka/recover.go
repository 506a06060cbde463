package devkafka

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
)

// txn names a transaction. Since KIP-890 every transaction of a producer has an
// epoch of its own; for older clients see endedBefore.
type txn struct {
	pid   int64
	epoch int16
}

// recoverDir ends the transactions that were open when the last process died:
// the same way in every partition. It does nothing after a clean close.
func recoverDir(dir string, logger *slog.Logger) error {
	clean, err := takeClean(dir)
	if clean || err != nil {
		return err
	}
	root := filepath.Join(dir, logDir)
	entries, err := os.ReadDir(filepath.Join(root, "partitions"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var logs []*partitionLog
	committed := make(map[txn]bool)
	for _, e := range entries {
		l, err := readPartition(filepath.Join(root, "partitions", e.Name()))
		if err != nil {
			return fmt.Errorf("partition %s: %w", e.Name(), err)
		}
		logs = append(logs, l)
		for _, t := range l.committed {
			committed[t] = true
		}
	}
	producers, err := readProducers(root)
	if err != nil {
		return err
	}
	return endOpen(logs, committed, producers, logger)
}

// endOpen writes the markers that are missing. A transaction that is committed
// anywhere was decided, and is committed everywhere.
func endOpen(logs []*partitionLog, committed map[txn]bool, producers *producerLog, logger *slog.Logger) error {
	var ended []int64
	for _, l := range logs {
		for _, t := range l.open() {
			commit := committed[t] && !producers.endedBefore(t)
			if err := l.appendMarker(t, commit); err != nil {
				return err
			}
			ended = append(ended, t.pid)
			logger.Info("ended a transaction that a crash left open",
				"partition_dir", filepath.Base(l.dir), "producer_id", t.pid, "producer_epoch", t.epoch, "commit", commit)
		}
	}
	slices.Sort(ended)
	return producers.fence(slices.Compact(ended))
}
