/** The jobs that the crons start. Nothing is lost if a job runs twice at the same time, or does not run for an hour. */
import type { ServicesSettings } from "#env";
import { queueWaitingSegments } from "#events/consumer";
import { log } from "#lib/log";
import { archiveEvents } from "#services/archive-events";
import { archiveLogs } from "#services/archive-logs";
import { cancelLeftChildren, cancelStuckRuns } from "#services/cancellation-cleanup";
import { takeCensus } from "#services/census";
import { markSilentDeployments, wakePools } from "#services/foreman";
import { failExpiredPauses, markLateRuns, skipMissedRuns } from "#services/overdue-runs";
import { packOldLogs } from "#services/repack-logs";
import { removeArchivedEvents, removeLeftoverObjects } from "#services/retention-archive";
import { removeArchivedLogs, removeArchivedRuns } from "#services/retention-archived";
import { removeOldEvents } from "#services/retention-events";
import { removeOrphanedArtifacts } from "#services/retention-artifacts";
import { removeOldCaches, removeOrphanedLogs } from "#services/retention-leftovers";
import { removeOldRuns } from "#services/retention-runs";
import { watchSize, countOldRuns } from "#services/database";
import { repackEvents } from "#services/repack-events";
import { topUpSchedules } from "#services/scheduler";
import { shortenRows } from "#services/shorten-rows";
import { renewSecrets } from "#services/renew-secrets";
import { crashZombies, scheduleAnew } from "#services/silent-runs";
import { findStrays } from "#services/strays";
import { sweepOutbox } from "#services/walk-states";
import type { SweepTools } from "#tools";

/** A job of a cron, for all workspaces. The job limits its own work. */
export interface Job {
  name: string;
  /** The service that the job belongs to. The setting of the service switches the job off. A job without a service always runs. */
  service?: keyof ServicesSettings;
  run(tools: SweepTools): Promise<void>;
}

/** The jobs of each cron of wrangler.toml. */
export const CRONS: Readonly<Record<string, readonly Job[]>> = {
  "* * * * *": [
    { name: "queue waiting segments", run: queueWaitingSegments },
    { name: "sweep the outbox", run: sweepOutbox },
    { name: "count old runs", run: countOldRuns },
    { name: "top up schedules", service: "scheduler", run: topUpSchedules },
    { name: "skip missed runs", service: "scheduler", run: skipMissedRuns },
    { name: "mark silent deployments", service: "foreman", run: markSilentDeployments },
    { name: "wake pools", service: "foreman", run: wakePools },
    { name: "mark late runs", service: "late_runs", run: markLateRuns },
    { name: "fail expired pauses", service: "pause_expirations", run: failExpiredPauses },
    { name: "cancel stuck runs", service: "cancellation_cleanup", run: cancelStuckRuns },
    { name: "crash zombies", service: "zombies", run: crashZombies },
    { name: "schedule anew", service: "lazarus", run: scheduleAnew },
    { name: "cancel left children", service: "cancellation_cleanup", run: cancelLeftChildren },
    { name: "archive events", run: archiveEvents },
    { name: "archive logs", run: archiveLogs },
    { name: "remove old events", service: "db_vacuum", run: removeOldEvents },
    { name: "remove archived events", service: "db_vacuum", run: removeArchivedEvents },
    { name: "remove archived logs", service: "db_vacuum", run: removeArchivedLogs },
    { name: "remove archived runs", service: "db_vacuum", run: removeArchivedRuns },
    { name: "remove leftover objects", run: removeLeftoverObjects },
    { name: "remove old runs", service: "db_vacuum", run: removeOldRuns },
    { name: "remove old caches", service: "db_vacuum", run: removeOldCaches },
    { name: "remove orphaned logs", service: "db_vacuum", run: removeOrphanedLogs },
    { name: "remove orphaned artifacts", service: "db_vacuum", run: removeOrphanedArtifacts },
    { name: "pack old events", run: repackEvents },
    { name: "pack old logs", run: packOldLogs },
    { name: "shorten rows", run: shortenRows },
    { name: "encrypt secrets anew", run: renewSecrets },
    { name: "watch the database's size", run: watchSize },
    { name: "take the census", run: takeCensus },
  ],
};

/**
 * Runs the jobs of a cron concurrently in one database. A job that fails is logged and runs again in the next turn. No
 * job runs as long as the database has rows of a workspace that belongs to another database.
 */
export async function runCron(cron: readonly Job[], tools: SweepTools): Promise<void> {
  const strays = await findStrays(tools);
  if (strays.length > 0)
    return log(tools, "error", "no job runs: rows of workspaces that have another database must be deleted first", {
      database: tools.dbName,
      workspaces: strays,
    });
  const { services } = tools.settings;
  const jobs = cron.filter(({ service }) => !service || services[service].enabled);
  const results = await Promise.allSettled(jobs.map((job) => job.run(tools)));
  for (const [index, result] of results.entries()) {
    if (result.status === "rejected")
      log(tools, "error", "a job failed", { job: jobs[index]?.name, error: result.reason });
  }
}
