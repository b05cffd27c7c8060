"""The join of scripts/dedup-pairs.sql on Spark: a master and two workers, one of which is killed in the middle of the job.

What the pairs come to must be what `convogen dedup` finds alone. Needs Java.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from support import HERE, WORK, check, free_port, run_checks

SHARDS, RECORDS, PARTITIONS = 4, 20_000, 48
SETTINGS = ["--threshold", "0.7", "--shingles", "5-words"]
SQL = HERE.parent.parent / "scripts" / "dedup-pairs.sql"


def corpus(folder):
    """Shards of records of which a quarter are a copy of another, most with a few words replaced; ids in no order."""
    draw = random.Random(5)
    vocabulary = [f"w{at:x}" for at in range(3_000)]
    texts, ids = [], list(range(RECORDS))
    draw.shuffle(ids)
    for at in range(RECORDS):
        words = list(draw.choice(texts)) if at % 4 == 3 else draw.choices(vocabulary, k=draw.randint(60, 100))
        for place in draw.sample(range(len(words)), at % 5 if at % 4 == 3 else 0):
            words[place] = draw.choice(vocabulary)
        texts.append(words)
    shards = [folder / f"shard-{at}.jsonl" for at in range(SHARDS)]
    for at, shard in enumerate(shards):
        rows = ({"id": f"r{ids[row]:06}", "text": " ".join(texts[row])} for row in range(at, RECORDS, SHARDS))
        shard.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return shards


def convogen(*arguments):
    done = subprocess.run([os.environ["CONVOGEN"], "dedup", *map(str, arguments), *SETTINGS], capture_output=True, text=True)
    check(done.returncode == 0, f"convogen ended with {done.returncode}: {done.stderr[-900:]}")


def java(name, *arguments):
    """A process of Spark's in a group of its own, with the executors it starts."""
    import pyspark

    home = Path(pyspark.__file__).parent
    log = (WORK / f"spark-{name}.log").open("wb")
    command = [str(home / "bin" / "spark-class"), *arguments]
    env = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_HOME": str(home)}
    return subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True)


def kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


@contextmanager
def cluster():
    """Master and two workers of one core each; the master's address and the workers."""
    port, page = free_port(), free_port()
    deploy = "org.apache.spark.deploy"
    started = [java("master", f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page))]
    master = f"spark://127.0.0.1:{port}"
    try:
        for at in range(2):
            work = ["--work-dir", str(WORK / f"spark-work-{at}"), "--webui-port", str(free_port())]
            started.append(java(f"worker-{at}", f"{deploy}.worker.Worker", "--cores", "1", "--memory", "1g", *work, master))
        yield master, started[1:]
    finally:
        for process in started:
            kill(process)


def joined(signatures, out, disturb=None):
    """Runs the join; `disturb` is called with a worker once some of it is done. Says whether it was, and how many executors are left."""
    from pyspark.sql import SparkSession

    with cluster() as (master, workers):
        settings = {
            "spark.executor.memory": "512m", "spark.executor.cores": "1", "spark.cores.max": "2",
            "spark.sql.shuffle.partitions": str(PARTITIONS), "spark.sql.adaptive.enabled": "false",
            "spark.sql.autoBroadcastJoinThreshold": "-1", "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false",
        }
        builder = SparkSession.builder.master(master).appName("dedup-pairs")
        for name, value in settings.items():
            builder = builder.config(name, value)
        spark = builder.getOrCreate()
        try:
            spark.sparkContext.setLogLevel("ERROR")
            end = time.monotonic() + 60
            while len(executors(spark)) < 2:
                check(time.monotonic() < end, "Spark's workers did not come")
                time.sleep(0.2)
            for table in ("records", "bands"):
                spark.read.parquet(str(signatures / table)).createOrReplaceTempView(table)
            over, killed = threading.Event(), []
            watcher = threading.Thread(target=watch, args=(spark, workers[1], disturb, over, killed))
            watcher.start()
            spark.sql(SQL.read_text()).write.mode("overwrite").parquet(str(out))
            over.set()
            watcher.join()
            return bool(killed), len(executors(spark))
        finally:
            spark.stop()


def executors(spark):
    """The executors that are alive; the driver stands among them."""
    infos = spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
    return [info for info in infos if info.port() != 0][1:]


def watch(spark, worker, disturb, over, killed):
    """Calls `disturb` in the middle: some tasks of a stage that reads a shuffle are done, and at least half are still to come."""
    tracker = spark.sparkContext.statusTracker()
    while disturb and not over.wait(0.02):
        for stage in map(tracker.getStageInfo, tracker.getActiveStageIds()):
            if stage and stage.numTasks == PARTITIONS and 4 <= stage.numCompletedTasks <= PARTITIONS // 2:
                disturb(worker)
                killed.append(stage.name)
                return


def the_join_on_a_cluster_that_loses_a_worker():
    if not shutil.which("java"):
        print("left out: there is no java")
        return
    folder = WORK / "dedup"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shards = corpus(folder)
    convogen(*shards, "-o", folder / "alone.jsonl", "--report", folder / "alone-report.jsonl")
    for shard in shards:
        convogen(shard, "--signatures", folder / "signatures")
    alone = [(folder / name).read_bytes() for name in ("alone.jsonl", "alone-report.jsonl")]
    check(alone[1].count(b"\n") > RECORDS // 10, "too little was removed to tell anything")
    for name, disturb in (("calm", None), ("killed", kill)):
        killed, left = joined(folder / "signatures", folder / f"pairs-{name}", disturb)
        check(killed == bool(disturb), "the worker was not killed in the middle")
        check(left == (1 if disturb else 2), f"{left} executors are left at the end")
        outputs = ["-o", folder / "out.jsonl", "--report", folder / "report.jsonl"]
        convogen(*reversed(shards), *outputs, "--pairs", folder / f"pairs-{name}")
        there = [(folder / name).read_bytes() for name in ("out.jsonl", "report.jsonl")]
        check(there == alone, f"{name}: the kept set is another than that of convogen alone")


if __name__ == "__main__":
    checks = [("dedup: the join on Spark, with a worker killed in the middle, keeps what convogen keeps alone",
               the_join_on_a_cluster_that_loses_a_worker)]
    run_checks([(name, function) for name, function in checks if all(word in name for word in sys.argv[1:])])
