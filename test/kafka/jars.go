package kafkatest

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// Version is the Apache Kafka that Start runs.
const Version = "4.3.1"

// minJava is the oldest Java that a Kafka 4 broker runs on.
const minJava = 17

//go:embed pom.xml
var pom []byte

// Jars returns the folder with the broker's jars. The first call on a machine
// fetches them with Maven (44 MB) into the user's cache folder; later calls,
// from any process, only look. Two processes that want them at the same time
// fetch them once.
func Jars(ctx context.Context) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	base = filepath.Join(base, "leat")
	dir := filepath.Join(base, "kafka-"+Version)
	if exists(dir) { // it appears by a rename, so it is complete
		return dir, nil
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", fmt.Errorf("lock the cache folder: %w", err)
	}
	defer unlock()
	if exists(dir) { // another process fetched them while we waited
		return dir, nil
	}
	return dir, fetch(ctx, base, dir)
}

// fetch lets Maven copy the jars beside dir and renames them to it, so that an
// interrupted download never looks like a finished one.
func fetch(ctx context.Context, base, dir string) error {
	temp, err := os.MkdirTemp(base, "fetch-*")
	if err != nil {
		return fmt.Errorf("make a folder for the jars: %w", err)
	}
	defer os.RemoveAll(temp)
	if err := os.WriteFile(filepath.Join(temp, "pom.xml"), pom, 0o644); err != nil {
		return fmt.Errorf("write the pom: %w", err)
	}
	libs := filepath.Join(temp, "libs")
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "dependency:copy-dependencies",
		"-DincludeScope=runtime", "-DoutputDirectory="+libs)
	mvn.Dir = temp
	if out, err := mvn.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch Kafka %s with mvn: %w: %s", Version, err, tail(out, 2000))
	}
	if err := os.Rename(libs, dir); err != nil {
		return fmt.Errorf("put the jars into the cache: %w", err)
	}
	return nil
}

// checkJava returns an error that says what to install when there is no Java
// that a broker runs on.
func checkJava(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "java", "-version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("run java -version (Kafka needs Java %d or later): %w", minJava, err)
	}
	major := javaMajor(out)
	if major < minJava {
		return fmt.Errorf("java is version %d, Kafka needs %d or later", major, minJava)
	}
	return nil
}

// javaMajor reads `openjdk version "17.0.15" ...`; Java 8 says "1.8.0" and
// counts as 1, which is too old all the same. No version at all is 0.
func javaMajor(out []byte) int {
	m := regexp.MustCompile(`version "(\d+)`).FindSubmatch(out)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return 0
	}
	return n
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// tail returns the end of out, for an error message.
func tail(out []byte, n int) []byte {
	out = bytes.TrimSpace(out)
	return out[max(0, len(out)-n):]
}
