#!/usr/bin/env python3
"""Runs the tasks of queue text, and starts the workflow that asks for them. Python alone is enough.

    worker.py work                      # until Ctrl-C
    worker.py start KEY TEXT [SECONDS]  # starts wordcount.yaml and waits for its result
"""
import json, os, sys, threading, time, urllib.error, urllib.parse, urllib.request

QUEUE = os.environ.get("LEAT_GATEWAY", "http://127.0.0.1:8474") + "/v1/queues/text"
INSTANCES = os.environ.get("LEAT_API", "http://127.0.0.1:8470") + "/api/v1/instances/wordcount"


def ask(method, url, body=None):
    """The status and the answer; 503 when no server answers, so that the request is repeated."""
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ.get("LEAT_TOKEN", "none")}
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:  # a problem: title, detail, fix and code
        return refused.code, json.loads(refused.read() or b"{}")
    except OSError as error:
        return 503, {"title": str(error)}


def count(text, seconds=0):
    time.sleep(seconds)
    return {"words": len(text.split())}


def run(task):
    """One attempt: heartbeats while it runs, then how it ended."""
    lease, done = task["lease"], threading.Event()

    def beat():
        while not done.wait(task["heartbeat_timeout_ms"] / 3000):
            ask("POST", QUEUE + "/heartbeat", {"lease": lease})

    threading.Thread(target=beat, daemon=True).start()
    try:
        end, report = "/complete", {"lease": lease, "result": count(**task["input"])}
    except Exception as error:
        end, report = "/fail", {"lease": lease, "code": type(error).__name__, "message": str(error), "retryable": False}
    status, answer = ask("POST", QUEUE + end, report)
    while status == 503:
        time.sleep(1)
        status, answer = ask("POST", QUEUE + end, report)
    done.set()
    print(end, task["instance_key"], "attempt", task["attempt"], status, answer.get("detail", ""), flush=True)


def work():
    while True:
        status, answer = ask("POST", QUEUE + "/poll", {"max_tasks": 1, "wait": "30s"})
        for task in answer.get("tasks", []):
            print("/poll", task["instance_key"], "attempt", task["attempt"], flush=True)
            run(task)
        if status != 200:  # no such queue yet, or no server
            print(status, answer.get("title"), answer.get("detail", ""), file=sys.stderr, flush=True)
            time.sleep(1)


def start(key, text, seconds="0"):
    status, answer = ask("POST", INSTANCES, {"key": key, "input": {"text": text, "seconds": float(seconds)}})
    while status in (200, 202) and "finished_at" not in answer:  # the server waits; then ask again
        status, answer = ask("GET", f"{INSTANCES}/{urllib.parse.quote(key, safe='')}?wait=30s")
    print(json.dumps(answer.get("output", answer)))
    return answer.get("state") != "completed"


if __name__ == "__main__":
    sys.exit({"work": work, "start": start}[sys.argv[1]](*sys.argv[2:]))
