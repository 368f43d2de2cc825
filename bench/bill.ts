/** The bill of a million runs at list prices, from the counted cost of one run. */
import type { Cost } from "./cost.ts";
import {
  ASSUMED_CPU_MS_PER_REQUEST,
  ASSUMED_OBJECT_MS_PER_CALL,
  BYTES_PER_GIGABYTE,
  CPU_MS_PER_PACKED_BYTE,
  OBJECT_GIGABYTES,
  OPERATIONS_PER_QUEUE_MESSAGE,
  PRICES,
  SOCKET_MESSAGES_PER_OBJECT_REQUEST,
} from "./prices.ts";

/** What a run sends to the server. */
export interface Traffic {
  httpRequests: number;
  socketOpens: number;
  /** WebSocket messages from client to server. */
  socketMessages: number;
}

/** US dollars for a million runs, by meter. */
export interface Bill {
  requests: number;
  cpu: number;
  d1Reads: number;
  d1Writes: number;
  objects: number;
  queues: number;
  /** The operations of R2. */
  r2: number;
  total: number;
}

/** Bytes that one run leaves, or US dollars for storing those of a million runs for 30 days. */
export interface StoredIn {
  d1: number;
  r2: number;
}

const RUNS = 1e6;

export function billAMillion(traffic: Traffic, cost: Cost): Bill {
  const workerRequests = traffic.httpRequests + traffic.socketOpens;
  const objectRequests = cost.objectCalls + traffic.socketMessages / SOCKET_MESSAGES_PER_OBJECT_REQUEST;
  const objectSeconds = (objectRequests * ASSUMED_OBJECT_MS_PER_CALL) / 1000;
  const requests = RUNS * workerRequests * PRICES.workerRequest;
  const cpu = RUNS * workerRequests * ASSUMED_CPU_MS_PER_REQUEST * PRICES.cpuMillisecond;
  const d1Reads = RUNS * cost.d1RowsRead * PRICES.d1RowRead;
  const d1Writes = RUNS * cost.d1RowsWritten * PRICES.d1RowWritten;
  const objects =
    RUNS *
    (objectRequests * PRICES.objectRequest +
      objectSeconds * OBJECT_GIGABYTES * PRICES.objectGigabyteSecond +
      cost.objectRowsWritten * PRICES.objectRowWritten);
  const queues = RUNS * cost.queueMessages * OPERATIONS_PER_QUEUE_MESSAGE * PRICES.queueOperation;
  const r2 = RUNS * (cost.r2ClassA * PRICES.r2ClassA + cost.r2ClassB * PRICES.r2ClassB);
  const total = requests + cpu + d1Reads + d1Writes + objects + queues + r2;
  return { requests, cpu, d1Reads, d1Writes, objects, queues, r2, total };
}

/** Returns US dollars for the CPU time that packs the events of a million runs. It is not part of `Bill.total`. */
export function billPacking(jsonBytesPerRun: number): number {
  return RUNS * jsonBytesPerRun * CPU_MS_PER_PACKED_BYTE * PRICES.cpuMillisecond;
}

/** Returns US dollars for storing the bytes of a million runs for 30 days. They are not part of `Bill.total`. */
export function billStorage(bytesPerRun: StoredIn): StoredIn {
  const gigabytes = (bytes: number): number => (RUNS * bytes) / BYTES_PER_GIGABYTE;
  return {
    d1: gigabytes(bytesPerRun.d1) * PRICES.d1GigabyteMonth,
    r2: gigabytes(bytesPerRun.r2) * PRICES.r2GigabyteMonth,
  };
}
