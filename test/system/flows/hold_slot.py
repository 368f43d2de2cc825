"""Takes a slot of the limit "held" with a lease of a minute. The client renews the lease until the client is killed."""

import time

from prefect.concurrency.sync import concurrency

if __name__ == "__main__":
    with concurrency("held", occupy=1, lease_duration=60, strict=True):
        print(f"holds {time.time()}", flush=True)
        while True:
            time.sleep(1)
