import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { wakePools } from "#services/foreman";
import { Pool } from "../objects/work-pool/pool";
import { api } from "../support/world";
import { later, MINUTE } from "./time";

const HOUR = 60 * MINUTE;

/** The time until the first turn of the next hour, plus `more`. */
const untilTheHour = (more = 0) => HOUR - ((Date.now() * 1000) % HOUR) + more;

const statusOf = (pool: Pool) =>
  env.DB.prepare("select status from work_pool where id = ?").bind(pool.id).first<string>("status");

/** A pool that is READY in D1, although its object knows no worker. */
async function aForgottenPool(): Promise<Pool> {
  const pool = await Pool.made();
  await pool.evict();
  await pool.inObject((object) => object.forget());
  await env.DB.prepare("update work_pool set status = 'READY' where id = ?").bind(pool.id).run();
  return pool;
}

test("a pool that is READY without workers becomes NOT_READY some time after the foreman has called its object", async () => {
  const pool = await aForgottenPool();
  await later(untilTheHour(), wakePools);
  const report = () => pool.inObject((object) => object.onTimer("change"));
  await pool.wait(80);
  await report();
  expect(await statusOf(pool)).toBe("READY");
  await pool.wait(20);
  await report();
  expect(await statusOf(pool)).toBe("NOT_READY");
});

test("if the foreman is switched off, a pool stays READY without workers", async () => {
  const pool = await Pool.made();
  await pool.inObject((object) => {
    Object.assign(object, { bindings: { ...env, PREFECT_SERVER_SERVICES_FOREMAN_ENABLED: "false" } });
  });
  await api("POST", `/work_pools/${pool.name}/workers/heartbeat`, { name: "w" });
  const report = () => pool.inObject((object) => object.onTimer("change"));
  await report();
  expect(await statusOf(pool)).toBe("READY");
  await pool.wait(1000);
  await report();
  expect(await statusOf(pool)).toBe("READY");
  expect(await pool.timer("change")).toBeNull();
  await pool.inObject((object) => {
    Object.assign(object, { bindings: env, services: null });
  });
  await report();
  expect(await statusOf(pool)).toBe("NOT_READY");
});

test("objects of pools are called only in the first minute of an hour", async () => {
  const pool = await aForgottenPool();
  await later(untilTheHour(MINUTE), wakePools);
  expect(await pool.timer("change")).toBeNull();
  await later(untilTheHour(), wakePools);
  expect(await pool.timer("change")).toBeGreaterThan(Date.now());
});
