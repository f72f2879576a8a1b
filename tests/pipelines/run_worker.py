"""A worker as a process of its own, for tests that kill it: `run_worker.py FOLDER DATABASE NAME TTL`."""

import sys
import time
from pathlib import Path

from pipelines.workshop import open_workshop

if __name__ == "__main__":
    shop = open_workshop(Path(sys.argv[1]), url=sys.argv[2])
    worker = shop.worker(sys.argv[3], ttl_s=float(sys.argv[4]))
    print("ready", flush=True)
    while True:
        if not worker.work_once():
            time.sleep(0.05)
