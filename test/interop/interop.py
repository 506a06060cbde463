#!/usr/bin/env python3
"""Speaks to Leat as any program can: Kafka, JSON, Avro, and nothing of ours.

It starts 1,000 instances of greeting.yaml in five ways, sends some commands
twice, signals them, asks the router where they are, and checks every history from
the topics alone, with the schemas of schemas/*.avsc. Routers must run and
greeting.yaml be deployed.

    interop.py HOST:PORT [SCHEMAS [COUNT]]
"""

import io
import json
import os
import pathlib
import sys
import time
import uuid
from collections import Counter, defaultdict

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from fastavro.schema import fingerprint, load_schema, to_parsing_canonical_form

TYPE = "greeting"
COMMANDS = f"workflow.{TYPE}.commands"
EVENTS = f"workflow.{TYPE}"
STATE = f"workflow.{TYPE}.state"
OUTCOMES = f"workflow.{TYPE}.outcomes"
PATIENCE = 120  # seconds for the routers to decide everything

# Instance ids of business keys: UUID version 5 of "instance/<type>/<key>" below this.
NAMESPACE = uuid.UUID("6c656174-2d69-6f50-8000-6e616d657370")


def instance_of(key):
    return uuid.uuid5(NAMESPACE, f"instance/{TYPE}/{key}")


class Schemas:
    """Avro single-object encoding: C3 01, the schema's fingerprint, the body."""

    def __init__(self, folder):
        self.by_print, self.by_name = {}, {}
        for path in sorted(pathlib.Path(folder).glob("*.avsc")):
            schema = load_schema(str(path))
            mark = bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
            self.by_print[mark] = schema
            self.by_name[path.stem] = (mark, schema)

    def encode(self, name, record):
        mark, schema = self.by_name[name]
        out = io.BytesIO(b"")
        fastavro.schemaless_writer(out, schema, record, strict_allow_default=True)
        return b"\xc3\x01" + mark + out.getvalue()

    def decode(self, value):
        if value[:2] != b"\xc3\x01":
            raise ValueError(f"not Avro single-object encoding: begins {value[:2].hex()}")
        schema = self.by_print.get(value[2:10])
        if schema is None:
            raise ValueError(f"no schema has the fingerprint {value[2:10].hex()}")
        body = io.BytesIO(value[10:])
        record = fastavro.schemaless_reader(body, schema, None)
        if body.read():
            raise ValueError("bytes behind the record")
        return record


def partition_of(key, count):
    """Kafka's default partitioner: murmur2 of the key, as its Java client has it."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(key)
    whole = len(key) - len(key) % 4
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    rest = key[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    h ^= h >> 15
    return (h & 0x7FFFFFFF) % count


class Greeting:
    """One instance that this program wants, and how it asks for it."""

    ways = ("json", "json, no record key", "json, foreign partitioner", "json, own instance id", "avro")

    def __init__(self, n, run):
        self.n = n
        self.way = self.ways[n % len(self.ways)]
        self.name = f"guest {n} of {run}"
        self.language = ("latin", "grüezi", "日本語")[n % 3]
        self.key = None if self.way == "json, own instance id" else f"interop-{run}-{n}"
        self.id = instance_of(self.key) if self.key else uuid.uuid4()
        self.twice = n % 10 < 5 and n % 20 < 10  # a quarter: five in twenty, one of each way
        self.start_id = uuid.uuid4()

    def start(self):
        c = {"command": "start", "type": TYPE, "input": {"name": self.name}, "command_id": str(self.start_id)}
        return self._address(c)

    def signal(self):
        c = {
            "command": "signal",
            "type": TYPE,
            "event": "answered",
            "data": {"language": self.language},
            "idempotency_key": f"answer-{self.n}",
        }
        return self._address(c)

    def describe(self):
        return self._address({"command": "describe", "type": TYPE, "command_id": str(uuid.uuid4())})

    def _address(self, c):
        if self.key:
            return c | {"key": self.key}
        return c | {"instance_id": str(self.id)}


def to_avro(c):
    """The record of schemas/command.avsc for what the JSON form says."""
    c = dict(c)
    payload = c.pop("input", None) or c.pop("data", None)
    return c | {"payload": payload and json.dumps(payload)}


class Sender:
    def __init__(self, brokers, schemas, partitions):
        self.schemas, self.partitions = schemas, partitions
        self.failed, self.sent, self.astray = [], 0, 0
        common = {"bootstrap.servers": brokers, "enable.idempotence": True, "linger.ms": 5}
        self.murmur2 = Producer(common | {"partitioner": "murmur2_random"})
        self.foreign = Producer(common | {"partitioner": "consistent_random"})  # librdkafka's default: CRC32

    def send(self, greeting, command):
        producer, key = self.murmur2, str(greeting.id).encode()
        value = json.dumps(command).encode()
        if greeting.way == "json, no record key":
            key = None
        elif greeting.way == "json, foreign partitioner":
            producer = self.foreign
        elif greeting.way == "avro":
            value = self.schemas.encode("command", to_avro(command))
        home = partition_of(str(greeting.id).encode(), self.partitions)
        producer.produce(COMMANDS, key=key, value=value, on_delivery=lambda err, m: self._delivered(err, m, home))
        producer.poll(0)

    def _delivered(self, err, message, home):
        if err is not None:
            self.failed.append(str(err))
            return
        self.sent += 1
        self.astray += message.partition() != home

    def flush(self):
        for producer in (self.murmur2, self.foreign):
            if producer.flush(60) or self.failed:
                sys.exit(f"Kafka did not take a command: {self.failed[:3]}")


class Log:
    """What has been committed to a topic so far, decoded; more at each read."""

    def __init__(self, brokers, topic, schemas):
        self.schemas = schemas
        self.consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": f"interop-{uuid.uuid4()}",  # required by the client; nothing is committed
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        self.topic = topic
        self.partitions = self._partitions()
        self.ended = set()
        self.consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in self.partitions])

    def _partitions(self):
        for _ in range(100):  # a topic that is new may need a moment to be known everywhere
            found = self.consumer.list_topics(self.topic, 30).topics[self.topic]
            if found.error is None and found.partitions:
                return sorted(found.partitions)
            time.sleep(0.1)
        sys.exit(f"there is no topic {self.topic}: is {TYPE} deployed?")

    def read(self, seconds=0.5):
        """What has come, and what comes until it is quiet for a while."""
        quiet = time.monotonic() + seconds
        while time.monotonic() < quiet:
            for m in self.consumer.consume(1000, 0.1):
                if m.error() is None:
                    quiet = time.monotonic() + seconds
                    yield m
                elif m.error().code() == KafkaError._PARTITION_EOF:
                    self.ended.add(m.partition())
                elif m.error().fatal() or not m.error().retriable():
                    raise KafkaException(m.error())

    def read_all(self):
        """Everything up to the end of every partition."""
        deadline = time.monotonic() + PATIENCE
        while len(self.ended) < len(self.partitions):
            if time.monotonic() > deadline:
                sys.exit(f"{self.topic}: no end in sight after {PATIENCE} s")
            yield from self.read()


class Checker:
    def __init__(self, brokers, schemas, greetings):
        self.schemas = schemas
        self.greetings = {g.id: g for g in greetings}
        self.problems = defaultdict(list)
        self.events = Log(brokers, EVENTS, schemas)
        self.histories = defaultdict(list)  # instance -> [(message, event)]
        self.kinds = defaultdict(Counter)

    def fail(self, instance, text):
        self.problems[instance].append(text)

    def read_until(self, kind):
        """Reads on until every instance has an event of that kind."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for m in self.events.read():
                event = self.schemas.decode(m.value())
                instance = event["instance_id"]
                if instance in self.greetings:
                    self.histories[instance].append((m, event))
                    self.kinds[instance][event["event_type"]] += 1
            if all(self.kinds[i][kind] for i in self.greetings):
                return
        missing = [g.way for g in self.greetings.values() if not self.kinds[g.id][kind]]
        print(f"{len(missing)} instances have no {kind} after {PATIENCE} s: {dict(Counter(missing))}")

    def check(self):
        for instance, greeting in self.greetings.items():
            history = self.histories[instance]
            if not history:
                self.fail(instance, "has no history")
                continue
            self.check_place(instance, [m for m, _ in history])
            self.check_law(instance, [e for _, e in history])
            self.check_story(greeting, [e for _, e in history])
            for m, e in history:
                self.check_headers(instance, m, e)

    def check_place(self, instance, messages):
        want = partition_of(str(instance).encode(), len(self.events.partitions))
        for m in messages:
            if m.key() != str(instance).encode():
                self.fail(instance, f"record key {m.key()}")
            if m.partition() != want:
                self.fail(instance, f"an event in partition {m.partition()}, want {want}")

    def check_law(self, instance, events):
        sequences = [e["sequence_number"] for e in events]
        if sequences != list(range(1, len(events) + 1)):
            self.fail(instance, f"sequences {sequences}")
        if len({e["event_id"] for e in events}) != len(events):
            self.fail(instance, "an event id is there twice")
        if len({e["correlation_id"] for e in events}) != 1:
            self.fail(instance, "the correlation changes")
        before = {}
        for e in events:
            where = f"event {e['sequence_number']}"
            cause, chain = e["causation_id"], e["correlation_chain"]
            if e["workflow_type"] != TYPE or e["idempotency_key"] != f"{TYPE}-{instance}-{e['sequence_number']}":
                self.fail(instance, f"{where}: type or idempotency key {e['idempotency_key']}")
            if cause is None and chain:
                self.fail(instance, f"{where}: a chain and no cause")
            elif cause is not None and (not chain or chain[-1] != cause):
                self.fail(instance, f"{where}: the last of the chain is not the cause")
            elif cause is not None and cause not in before:
                self.fail(instance, f"{where}: its cause is no earlier event of the instance")
            elif cause is not None and chain != [*before[cause]["correlation_chain"], cause]:
                self.fail(instance, f"{where}: the chain is not that of its cause and the cause")
            before[e["event_id"]] = e

    def check_story(self, greeting, events):
        kinds = self.kinds[greeting.id]
        for kind in ("workflow.created", "workflow.completed"):
            if kinds[kind] != 1:
                self.fail(greeting.id, f"{kinds[kind]} of {kind}")
        created, completed = events[0], events[-1]
        if created["event_type"] != "workflow.created" or json.loads(created["payload"] or "null") != {"name": greeting.name}:
            self.fail(greeting.id, f"begins with {created['event_type']} {created['payload']}")
        want = {"text": f"hello {greeting.name} in {greeting.language}"}
        if completed["event_type"] != "workflow.completed" or json.loads(completed["payload"] or "null") != want:
            self.fail(greeting.id, f"ends with {completed['event_type']} {completed['payload']}")
        if created["metadata"].get("command_id") != str(greeting.start_id):
            self.fail(greeting.id, f"was created by command {created['metadata'].get('command_id')}")

    def check_headers(self, instance, message, event):
        headers = {k: v.decode() for k, v in message.headers() or []}
        for name, want in {
            "ce_specversion": "1.0",
            "ce_id": str(event["event_id"]),
            "ce_source": f"/workflow/{TYPE}",
            "ce_type": event["event_type"],
            "ce_subject": str(instance),
            "ce_correlationid": str(event["correlation_id"]),
            "ce_sequence": f"{event['sequence_number']:020}",
            "content-type": "application/avro",
        }.items():
            if headers.get(name) != want:
                self.fail(instance, f"header {name} is {headers.get(name)}, want {want}")

    def check_state(self, brokers):
        newest = {}
        log = Log(brokers, STATE, self.schemas)
        for m in log.read_all():
            if m.key().startswith(b"!") or m.value() is None:
                continue
            state = self.schemas.decode(m.value())
            if state["instance_id"] in self.greetings:
                if m.partition() != partition_of(m.key(), len(log.partitions)):
                    self.fail(state["instance_id"], f"a snapshot in partition {m.partition()}")
                newest[state["instance_id"]] = state
        for instance, greeting in self.greetings.items():
            state = newest.get(instance)
            if state is None:
                self.fail(instance, "has no snapshot")
                continue
            found = (state["sequence_number"], state["state"], state["key"], state["chart"]["active"])
            want = (len(self.histories[instance]), "completed", greeting.key, ["greeted"])
            if found != want:
                self.fail(instance, f"its snapshot says {found}, want {want}")

    def check_outcomes(self, brokers):
        """What was sent twice is answered: it is a duplicate of a named event. Who asks is told."""
        answers, asked = defaultdict(Counter), set()
        log, deadline = Log(brokers, OUTCOMES, self.schemas), time.monotonic() + PATIENCE
        while (len(asked) < len(self.greetings) or len(log.ended) < len(log.partitions)) and time.monotonic() < deadline:
            for m in log.read():
                outcome = self.schemas.decode(m.value())
                instance = outcome["instance_id"]
                answers[instance][outcome["status"]] += 1
                if outcome["status"] == "described" and instance in self.greetings:
                    asked.add(instance)
                    self.check_description(instance, outcome)
        for greeting in self.greetings.values():
            want = {"described": 1} | ({"duplicate": 2} if greeting.twice else {})  # its start and its signal
            if dict(answers[greeting.id]) != want:
                self.fail(greeting.id, f"outcomes {dict(answers[greeting.id])}, want {want}")

    def check_description(self, instance, outcome):
        """The snapshot in the outcome says what the history says, and where that begins."""
        history = self.histories[instance]
        state = self.schemas.decode(outcome["snapshot"])
        found = (state["instance_id"], state["sequence_number"], state["state"], json.loads(state["output"] or "null"))
        want = (instance, len(history), "completed", json.loads(history[-1][1]["payload"] or "null"))
        if found != want or (outcome["instance_sequence"], outcome["instance_state"]) != want[1:3]:
            self.fail(instance, f"is described as {found}, want {want}")
        if state["first_offset"] > history[0][0].offset() or state["newest_offset"] > history[-1][0].offset():
            self.fail(instance, f"its events are at {[m.offset() for m, _ in history]} and not behind {state['first_offset']}")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    brokers = sys.argv[1]
    folder = sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parent / "../../schemas"
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    schemas = Schemas(folder)
    run = f"{os.getpid()}-{int(time.time())}"
    greetings = [Greeting(n, run) for n in range(count)]
    checker = Checker(brokers, schemas, greetings)
    sender = Sender(brokers, schemas, len(checker.events.partitions))

    began = time.monotonic()
    for name, kind in (("start", "workflow.created"), ("signal", "workflow.completed")):
        for g in greetings:
            for _ in range(2 if g.twice else 1):
                sender.send(g, getattr(g, name)())
        sender.flush()
        checker.read_until(kind)
    took = time.monotonic() - began

    for g in greetings:
        sender.send(g, g.describe())
    sender.flush()
    checker.check()
    checker.check_state(brokers)
    checker.check_outcomes(brokers)
    for instance, texts in list(checker.problems.items())[:20]:
        print(f"FAIL {instance} ({checker.greetings[instance].way}): {'; '.join(texts[:4])}")
    total = sum(len(h) for h in checker.histories.values())
    print(f"{sender.sent} commands in five ways, {sender.astray} of them on another partition than their instance's")
    print(f"{total} events in {took:.1f} s")
    print(f"{count - len(checker.problems)} passed, {len(checker.problems)} failed")
    sys.exit(1 if checker.problems else 0)


if __name__ == "__main__":
    main()
